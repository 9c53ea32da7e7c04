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
  add(time, series, value, isAnomalous = false) {
    const row = this.#row(time);
    const line = this.line(series);
    line.values[row] = value;
    if (isAnomalous) line.anomalies.add(this.times[row]);
    if (time >= line.lastTime) Object.assign(line, { last: value, lastTime: time });
  }

  /** Put history under what is there already. @param {{series: string, times: number[], values: number[]}[]} results */
  addHistory(results) {
    const times = this.times;
    const before = this.lines.map((line) => ({ series: line.series, times, values: line.values }));
    this.times = unitedTimes([times, ...results.map((result) => result.times)]);
    for (const line of this.lines) line.values = new Array(this.times.length).fill(undefined);
    for (const result of [...results, ...before]) this.#addAll(result);
  }

  #addAll({ series, times, values, anomalies = [] }) {
    const marked = new Set(anomalies);
    times.forEach((time, at) => {
      if (values[at] !== undefined && values[at] !== null) this.add(time, series, values[at], marked.has(time));
    });
  }

  /** The line of a series, made when new. @returns {Line} */
  line(series) {
    let line = this.#lineBySeries.get(series);
    if (!line) {
      const { labels } = parseSeries(series);
      line = { series, labels, values: new Array(this.times.length).fill(undefined), last: undefined, lastTime: -Infinity, anomalies: new Set() };
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
    return withGaps(this.times, columns);
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
