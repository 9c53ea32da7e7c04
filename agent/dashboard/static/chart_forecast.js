/** The hub's forecast of a series: asked for now and then, drawn as a dashed line inside its band. */

/** A forecast is asked for anew after so long. */
const FRESH_MS = 20_000;
/** Share of the shown window that is looked ahead. */
export const AHEAD_RATIO = 0.15;

/**
 * @typedef {{times: number[], values: number[], low: number[], high: number[]}} Forecast
 */

/** Forecasts of one agent's series. Where the hub gives none there is none, and nobody is told. */
export class Forecasts {
  #api;
  #agent;
  #bySeries = new Map();

  /** @param {import("./api.js").Api} api @param {string} agent @param {() => boolean} canAsk Whether this hub forecasts at all. */
  constructor(api, agent, canAsk) {
    this.#api = api;
    this.#agent = agent;
    /** Whether the reader wants to see them. */ this.isWanted = true;
    this.canAsk = canAsk;
  }

  /**
   * What is known now; asks in the background when that is old.
   * @param {string} series Full text. @param {number} horizon_s
   * @returns {Forecast|null}
   */
  of(series, horizon_s) {
    if (!this.isWanted || !this.canAsk()) return null;
    const known = this.#bySeries.get(series);
    if (!known || performance.now() - known.asked_ms > FRESH_MS) this.#ask(series, horizon_s, known?.forecast ?? null);
    return this.#bySeries.get(series)?.forecast ?? null;
  }

  async #ask(series, horizon_s, before) {
    const entry = { asked_ms: performance.now(), forecast: before };
    this.#bySeries.set(series, entry);
    try {
      const answer = await this.#api.get("forecast", { agent: this.#agent, series, horizon_s: Math.round(horizon_s) });
      entry.forecast = answer.values?.some((value) => value !== null) ? answer : null;
    } catch {
      entry.forecast = null;
    }
  }
}

/**
 * Rows of a chart of one line, with the forecast's line, low and high after it.
 * @param {[number[], (number|null|undefined)[]]} rows
 * @param {Forecast} forecast Only what lies after the newest row is taken.
 * @param {string} [unit] Of the line: what was never below 0, or a ratio never above 1, is not expected to be.
 * @returns {[number[], ...(number|null|undefined)[][]]}
 */
export function withForecast([times, column], forecast, unit = "") {
  const last = column.findLastIndex((value) => value !== null && value !== undefined);
  const from_s = times.at(-1) ?? -Infinity;
  const ahead = forecast.times.map((_, at) => at).filter((at) => forecast.times[at] > from_s);
  const blank = new Array(times.length).fill(null);
  if (last >= 0) blank[last] = column[last];
  const [least, most] = bounds(column, unit);
  const within = (value) => (value === null ? null : Math.min(most, Math.max(least, value)));
  const follow = (values) => [...blank, ...ahead.map((at) => within(values[at]))];
  return [
    [...times, ...ahead.map((at) => forecast.times[at])],
    [...column, ...ahead.map(() => null)],
    follow(forecast.values),
    follow(forecast.low),
    follow(forecast.high),
  ];
}

function bounds(column, unit) {
  const known = column.filter((value) => value !== null && value !== undefined);
  const least = known.some((value) => value < 0) ? -Infinity : 0;
  const most = unit === "ratio" && !known.some((value) => value > 1) ? 1 : Infinity;
  return [least, most];
}

/** Options of the three series that `withForecast` adds. @param {import("./chart_theme.js").ChartTheme} theme */
export function forecastSeries(theme) {
  const edge = { stroke: "transparent", width: 0, points: { show: false } };
  return [{ label: "forecast", stroke: theme.forecast, width: 1.5, dash: [5, 4], points: { show: false } }, { ...edge, label: "low" }, { ...edge, label: "high" }];
}

/** The band between low and high, in a chart of one line. @param {import("./chart_theme.js").ChartTheme} theme */
export function forecastBands(theme) {
  return [{ series: [4, 3], fill: theme.forecastFill }];
}
