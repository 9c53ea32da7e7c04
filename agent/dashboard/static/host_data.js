/** Everything known of one host: its series, their points in the shown window, its events. Knows nothing of the page. */

import { ChartModel } from "./chart_model.js";
import { gapLimit_s } from "./columns.js";
import { parseSeries } from "./naming.js";

const MAX_EVENTS = 1000;
const SERIES_AGAIN_MS = 3000;
const BACKFILL_MS = 2500;

/** Asked for at once, as the panel above the charts is made of them. */
const EAGER = /^agent_(breaker_state|buffer_|in_flight|accepted|delivered|failed_deliveries|dropped|sampling|retry|pressure|interval|spool|missed|ticks?_|cpu_|rss_)/;

export class HostData extends EventTarget {
  /** By name of the series. @type {Map<string, ChartModel>} */ models = new Map();
  /** Oldest first. */ events = [];
  /** Time of the newest tick, agent's clock; undefined before the first. */ lastTick_s = undefined;
  /** True once the list of series has come. */ isKnown = false;
  #api;
  #known = new Set();
  #loads = new Map();
  #latestOffset_s = -Infinity;
  #recentTicks = [];
  #timers = new Map();
  #isClosed = false;

  /**
   * Dispatches `series` when names were added, `points` after each tick or answer, `events`, `loaded` (detail: name).
   * @param {import("./api.js").Api} api
   * @param {string} agent
   * @param {number} window_s Seconds of history that are kept.
   */
  constructor(api, agent, window_s) {
    super();
    this.#api = api;
    this.agent = agent;
    this.window_s = window_s;
  }

  /** Now on the agent's clock, as its ticks tell it; the hub's clock before the first. */
  now_s() {
    return this.#latestOffset_s > -Infinity ? Date.now() / 1000 + this.#latestOffset_s : this.#api.now_s();
  }

  /** Left and right end of what is shown, unix seconds. @returns {[number, number]} */
  range_s() {
    const now_s = this.now_s();
    return [now_s - this.window_s, now_s];
  }

  /** Seconds since the newest tick; undefined before the first. */
  silence_s() {
    return this.lastTick_s === undefined ? undefined : this.now_s() - this.lastTick_s;
  }

  /** Seconds between ticks after which the agent counts as silent. */
  silentAfter_s() {
    return Math.max(5, 2 * gapLimit_s(this.#recentTicks));
  }

  /** Ask for everything again: at the start, after an outage, for another window. */
  async reload() {
    this.#loads.clear();
    await Promise.all([this.#loadSeries(), this.#loadEvents()]);
    await Promise.all([...this.models.keys()].filter((name) => EAGER.test(name)).map((name) => this.load(name)));
    this.#tell("reloaded");
  }

  /** Fetch the history of one name, unless that is done or on its way. @param {string} name */
  load(name) {
    if (!this.#loads.has(name)) this.#loads.set(name, this.#loadName(name));
    return this.#loads.get(name);
  }

  /** Stop caring; answers that still come are ignored. */
  close() {
    this.#isClosed = true;
    this.#timers.forEach((timer) => clearTimeout(timer));
  }

  /** Take one live tick. @param {{time_s: number, values: Object<string, number>, anomalies?: string[]}} tick */
  addTick({ time_s, values, anomalies = [] }) {
    const odd = new Set(anomalies);
    this.#latestOffset_s = Math.max(this.#latestOffset_s, time_s - Date.now() / 1000);
    if (time_s - this.lastTick_s > gapLimit_s(this.#recentTicks)) this.#later("backfill", BACKFILL_MS, () => this.reload());
    this.#noteTick(time_s);
    let hasNew = false;
    for (const [series, value] of Object.entries(values)) {
      if (value !== null) this.#modelOf(series).add(time_s, series, value, odd.has(series));
      hasNew ||= !this.#known.has(series);
    }
    if (hasNew) this.#later("series", SERIES_AGAIN_MS, () => this.#loadSeries());
    for (const model of this.models.values()) model.trim(time_s - this.window_s);
    this.#tell("points");
  }

  /** Take one live event. */
  addEvent(event) {
    this.events.push(event);
    if (this.events.length > MAX_EVENTS) this.events.shift();
    this.#tell("events");
  }

  #noteTick(time_s) {
    if (this.lastTick_s !== undefined && time_s <= this.lastTick_s) return;
    this.lastTick_s = time_s;
    this.#recentTicks.push(time_s);
    if (this.#recentTicks.length > 60) this.#recentTicks.shift();
  }

  #modelOf(series) {
    const { name } = parseSeries(series);
    const model = this.models.get(name) ?? new ChartModel(name);
    this.models.set(name, model);
    return model;
  }

  async #loadSeries() {
    const { series } = await this.#api.get("series", { agent: this.agent });
    if (this.#isClosed) return;
    for (const { series: text, name, unit, kind } of series) {
      const model = this.models.get(name) ?? new ChartModel(name);
      Object.assign(model, { unit, kind });
      this.models.set(name, model);
      this.#known.add(text);
    }
    this.isKnown = true;
    this.#tell("series");
  }

  async #loadEvents() {
    const params = { agent: this.agent, from: -this.window_s, to: Math.ceil(this.#api.now_s()) + 60, limit: MAX_EVENTS };
    const { events } = await this.#api.get("events", params);
    const newest_s = events.at(-1)?.time_s ?? -Infinity;
    const keys = new Set(events.map(eventKey));
    const later = this.events.filter((event) => event.time_s >= newest_s && !keys.has(eventKey(event)));
    this.events = [...events, ...later];
    this.#tell("events");
  }

  async #loadName(name) {
    const params = { agent: this.agent, name, from: -this.window_s, to: Math.ceil(this.#api.now_s()) + 60 };
    try {
      const { results } = await this.#api.get("query", params);
      if (this.#isClosed) return;
      const model = this.models.get(name);
      model.addHistory(results);
      if (!this.#recentTicks.length) this.#recentTicks = model.times.slice(-60, -1);
      if (model.lastTime !== undefined) this.#noteTick(model.lastTime);
      this.#tell("loaded", { name, state: "ready" });
    } catch {
      this.#loads.delete(name);
      this.#tell("loaded", { name, state: "failed" });
    }
  }

  #later(key, delay_ms, task) {
    if (this.#timers.has(key)) return;
    const run = () => {
      this.#timers.delete(key);
      task().catch(() => this.#tell("failed"));
    };
    this.#timers.set(key, setTimeout(run, delay_ms));
  }

  #tell(kind, detail) {
    if (!this.#isClosed) this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}

const eventKey = (event) => `${event.time_s}|${event.kind}|${event.component}`;
