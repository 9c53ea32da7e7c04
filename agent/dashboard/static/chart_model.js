/** The points of all series of one name over the shown window: what history gave, and what has come since. */

import { growth, perSecond, withGaps } from "./columns.js";
import { parseSeries } from "./naming.js";

const SAME_TIME_S = 1e-3;

/**
 * @typedef {Object} Line
 * @property {string} series Full text of the series.
 * @property {Object<string, string>} labels
 * @property {(number|undefined)[]} values One per time of the model.
 * @property {number|undefined} last Newest value.
 * @property {number} lastTime When that was, unix seconds; -Infinity before the first value.
 * @property {Set<number>} anomalies Times of the model at which this line stood out.
 * @property {Map<number, import("./chart_kept.js").Kept>} kept By time of the model, points that stand for others or are followed by them.
 * @property {Set<string>} methods How those were kept.
 */

export class ChartModel {
  /** Unix seconds, rising. @type {number[]} */ times = [];
  /** @type {Line[]} */ lines = [];
  /** Changes whenever a line comes or goes. */ version = 0;
  #lineBySeries = new Map();

  /**
   * @param {string} name Name that all its series share.
   * @param {string} unit
   * @param {string} kind "counter" is drawn as growth per second.
   */
  constructor(name, unit = "", kind = "gauge") {
    this.name = name;
    this.unit = unit;
    this.kind = kind;
  }

  /** Newest time; undefined while empty. */
  get lastTime() {
    return this.times.at(-1);
  }

  /** Unit of what is drawn. */
  get shownUnit() {
    return this.kind === "counter" ? `${this.unit}/s` : this.unit;
  }

  /** Put one value in its place; order and repetition do not matter. */
  add(time, series, value, isAnomalous = false, kept = undefined) {
    const row = this.#row(time);
    const line = this.line(series);
    line.values[row] = value;
    if (isAnomalous) line.anomalies.add(this.times[row]);
    if (kept) line.kept.set(this.times[row], kept);
    if (time >= line.lastTime) Object.assign(line, { last: value, lastTime: time });
  }

  /** Put history under what is there already. @param {Object[]} results As the hub gives them: series, times, values and more. */
  addHistory(results) {
    const times = this.times;
    const before = this.lines.map((line) => ({ series: line.series, times, values: line.values }));
    this.times = unitedTimes([times, ...results.map((result) => result.times)]);
    for (const line of this.lines) line.values = new Array(this.times.length).fill(undefined);
    for (const result of [...results, ...before]) this.#addAll(result);
  }

  #addAll({ series, times, values, anomalies = [], methods = [], weights = [], bounds = [] }) {
    const marked = new Set(anomalies);
    times.forEach((time, at) => {
      if (values[at] === undefined || values[at] === null) return;
      const isWhole = bounds[at] === undefined || (weights[at] <= 1 && bounds[at] === 0);
      this.add(time, series, values[at], marked.has(time), isWhole ? undefined : { weight: weights[at], bound: bounds[at] });
    });
    for (const method of methods) this.line(series).methods.add(method);
  }

  /** The line of a series, made when new. @returns {Line} */
  line(series) {
    let line = this.#lineBySeries.get(series);
    if (!line) {
      const { labels } = parseSeries(series);
      const values = new Array(this.times.length).fill(undefined);
      line = { series, labels, values, last: undefined, lastTime: -Infinity, anomalies: new Set(), kept: new Map(), methods: new Set() };
      this.#lineBySeries.set(series, line);
      this.lines.push(line);
      this.version += 1;
    }
    return line;
  }

  /** Forget points before a time, and lines that have none left. */
  trim(before_s) {
    let rows = 0;
    while (rows < this.times.length && this.times[rows] < before_s) rows += 1;
    if (!rows) return;
    this.times.splice(0, rows);
    for (const line of this.lines) {
      line.values.splice(0, rows);
      for (const time of line.anomalies) if (time < before_s) line.anomalies.delete(time);
      for (const time of line.kept.keys()) if (time < before_s) line.kept.delete(time);
    }
    const gone = this.lines.filter((line) => line.lastTime < before_s);
    for (const line of gone) this.#lineBySeries.delete(line.series);
    if (!gone.length) return;
    this.lines = this.lines.filter((line) => line.lastTime >= before_s);
    this.version += 1;
  }

  /** Rows as uPlot takes them. @param {Line[]} lines Those to draw. */
  rows(lines) {
    const columns = lines.map((line) => (this.kind === "counter" ? perSecond(this.times, line.values) : line.values));
    return withGaps(this.times, columns, lines.map((line) => line.kept));
  }

  /** How much a counter's line grew within the window. @param {Line} line */
  growth(line) {
    return growth(line.values);
  }

  #row(time) {
    const last = this.times.length - 1;
    if (last < 0 || time > this.times[last] + SAME_TIME_S) return this.#insert(last + 1, time);
    const at = this.#place(time);
    return Math.abs(this.times[at] - time) <= SAME_TIME_S ? at : this.#insert(at, time);
  }

  /** First row whose time is not before `time` (within tolerance). */
  #place(time) {
    let low = 0;
    let high = this.times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle] < time - SAME_TIME_S) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #insert(at, time) {
    this.times.splice(at, 0, time);
    for (const line of this.lines) line.values.splice(at, 0, undefined);
    return at;
  }
}

/** All times once, rising; what lies within the tolerance counts as one. */
function unitedTimes(lists) {
  const sorted = Float64Array.from(lists.flat()).sort();
  return Array.from(sorted).filter((time, at) => at === 0 || time - sorted[at - 1] > SAME_TIME_S);
}
