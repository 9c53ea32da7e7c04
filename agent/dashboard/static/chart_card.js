/** One chart on the page: title, newest value, canvas, and a legend whose values follow the pointer. */

import { arrange, h, setData, setText } from "./dom.js";
import { clock, plural, value } from "./format.js";
import { AHEAD_RATIO, withForecast } from "./chart_forecast.js";
import { keptWords } from "./chart_kept.js";
import { chartOptions } from "./chart_options.js";
import { compareNames, lineNames } from "./naming.js";

const MAX_LINES = 24;
const HEIGHT_PX = 150;
/** What has been silent for so long is not asked about the future. */
const STALE_S = 120;

export class ChartCard {
  /** Only a chart in view is drawn. */ isVisible = false;
  #plot = null;
  #plotBox = h("div", { class: "plot", "aria-hidden": "true" });
  #now = h("span", { class: "chart-now" });
  #note = h("span", { class: "chart-note" });
  #legend = h("ul", { class: "legend" });
  #kept = h("p", { class: "chart-kept" });
  #items = [];
  #lines = [];
  #drawnKey = "";
  #cursor = null;
  #version = -1;
  #hasForecast = false;

  /**
   * @param {import("./chart_model.js").ChartModel} model
   * @param {{theme: () => Object, range_s: () => [number, number], forecasts: import("./chart_forecast.js").Forecasts}} context
   */
  constructor(model, context) {
    this.model = model;
    this.context = context;
    this.root = h(
      "article",
      { class: "card chart", dataset: { testid: "chart", name: model.name, state: "loading", points: "0" } },
      h("header", {}, h("h4", { title: model.name }, model.name), this.#note, this.#now),
      this.#plotBox,
      this.#legend,
      this.#kept,
    );
  }

  /** Draw what the model holds now, when anybody can see it. */
  draw() {
    if (!this.isVisible || !this.#plotBox.clientWidth) return;
    this.#chooseLines();
    const forecast = this.#forecast();
    const rows = this.model.rows(this.#lines);
    const data = forecast ? withForecast(rows, forecast, this.model.unit) : rows;
    this.#hasForecast = forecast !== null;
    const key = `${this.#lines.map((line) => line.series).join()}|${this.model.unit}|${this.model.kind}|${this.#hasForecast}`;
    if (key === this.#drawnKey) this.#plot.setData(data);
    else this.#build(key, data);
    this.#showValues();
    this.#showNote();
    setData(this.root, "forecast", this.#hasForecast);
    setData(this.root, "points", this.model.times.length);
    setData(this.root, "lastTime", this.model.lastTime ?? "");
  }

  /** Fit the width of the page. */
  resize() {
    const width = this.#plotBox.clientWidth;
    if (this.#plot && width && width !== this.#plot.width) this.#plot.setSize({ width, height: HEIGHT_PX });
  }

  /** Forget the drawing, so that the next one takes new colours. */
  reset() {
    this.#plot?.destroy();
    this.#plot = null;
    this.#drawnKey = "";
  }

  /** @param {"loading"|"ready"|"failed"} state */
  setState(state) {
    setData(this.root, "state", state);
  }

  /** The busiest lines when there are too many, in the order of their names. */
  #chooseLines() {
    if (this.model.version === this.#version) return;
    this.#version = this.model.version;
    const names = lineNames(this.model.lines.map((line) => line.labels));
    const named = this.model.lines.map((line, at) => Object.assign(line, { name: names[at] || this.model.name }));
    const byValue = [...named].sort((one, other) => (other.last ?? -Infinity) - (one.last ?? -Infinity));
    this.#lines = byValue.slice(0, MAX_LINES).sort((one, other) => compareNames(one.name, other.name));
  }

  #showNote() {
    const all = this.model.lines.length;
    const anomalies = this.#lines.reduce((sum, line) => sum + line.anomalies.size, 0);
    const notes = [all > this.#lines.length ? `top ${MAX_LINES} of ${all}` : "", anomalies ? plural(anomalies, "anomaly", "anomalies") : ""];
    setText(this.#note, notes.filter(Boolean).join(" · "));
    setText(this.#kept, keptWords(this.#lines, this.model.kind === "counter" ? null : this.model.unit));
    setData(this.root, "anomalies", anomalies);
  }

  /** Only for a chart of one line: bands of several would hide each other. */
  #forecast() {
    const [from_s, to_s] = this.context.range_s();
    const isFresh = to_s - (this.model.lastTime ?? -Infinity) < STALE_S;
    if (!isFresh || this.#lines.length !== 1 || this.model.kind === "counter") return null;
    return this.context.forecasts.of(this.#lines[0].series, (to_s - from_s) * AHEAD_RATIO);
  }

  #range_s() {
    const [from_s, to_s] = this.context.range_s();
    return [from_s, this.#hasForecast ? to_s + (to_s - from_s) * AHEAD_RATIO : to_s];
  }

  #build(key, data) {
    this.reset();
    const theme = this.context.theme();
    const colors = this.#lines.map((_, at) => at % theme.lines.length);
    const options = chartOptions({
      width: this.#plotBox.clientWidth,
      height: HEIGHT_PX,
      unit: this.model.shownUnit,
      names: this.#lines.map((line) => line.name),
      colors,
      theme,
      range_s: () => this.#range_s(),
      lines: this.#lines,
      hasBounds: this.model.kind !== "counter",
      hasForecast: this.#hasForecast,
      onCursor: (index) => this.#pointAt(index),
    });
    this.#plot = new uPlot(options, data, this.#plotBox);
    this.#drawnKey = key;
    this.#items = this.#lines.map((line, at) => legendItem(line.name, colors[at]));
    arrange(this.#legend, this.#lines.length > 1 ? this.#items.map((item) => item.root) : []);
  }

  #pointAt(index) {
    if (index === this.#cursor) return;
    this.#cursor = index;
    this.#showValues();
  }

  /** Values under the pointer, or the newest ones. */
  #showValues() {
    if (!this.#plot) return;
    const unit = this.model.shownUnit;
    const shown = this.#lines.map((_, at) => this.#valueOf(this.#plot.data[at + 1]));
    shown.forEach((number, at) => setText(this.#items[at].value, value(number, unit)));
    const at = this.#cursor === null ? "" : clock(this.#plot.data[0][this.#cursor]);
    setText(this.#now, shown.length === 1 ? [value(shown[0], unit), at].filter(Boolean).join(" · ") : at);
  }

  #valueOf(column) {
    if (this.#cursor !== null) return column[this.#cursor];
    return column.findLast((number) => number !== undefined && (number !== null || !this.#hasForecast));
  }
}

function legendItem(name, color) {
  const text = h("span", { class: "legend-value" });
  const root = h("li", {}, h("i", { class: `swatch line-${color + 1}` }), h("span", { class: "legend-name", title: name }, name), text);
  return { root, value: text };
}
