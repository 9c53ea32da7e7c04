/** Columns of numbers on their way to a chart: where gaps are, what a running total grew by. Pure. */

/** A distance of more than this many intervals between two points is a gap. */
const GAP_INTERVALS = 2.5;
const INTERVAL_SAMPLE = 60;

/**
 * The usual distance between neighbouring times: the median of the newest ones.
 * @param {number[]} times Unix seconds, rising.
 * @returns {number} Seconds; 1 when there are fewer than two times.
 */
export function usualInterval_s(times) {
  const from = Math.max(1, times.length - INTERVAL_SAMPLE);
  const steps = [];
  for (let at = from; at < times.length; at += 1) steps.push(times[at] - times[at - 1]);
  if (!steps.length) return 1;
  return steps.sort((a, b) => a - b)[steps.length >> 1];
}

/** Seconds between two points from which on the line breaks. */
export function gapLimit_s(times) {
  return usualInterval_s(times) * GAP_INTERVALS;
}

/**
 * Rows for a chart, with breaks where a line has no points for too long. Between points that stand for others, that is longer.
 * @param {number[]} times Unix seconds, rising.
 * @param {(number|undefined)[][]} columns One per line; undefined = this line has no point at that time.
 * @param {Map<number, import("./chart_kept.js").Kept>[]} kepts One per line, by time, of the points that stand for others.
 * @returns {[number[], ...(number|null|undefined)[][]]} null breaks a line, undefined does not.
 */
export function withGaps(times, columns, kepts = []) {
  const limit_s = gapLimit_s(times);
  const rows = breakRows(times, limit_s);
  const outTimes = rows.map((row) => (row < 0 ? times[-row - 1] + limit_s / GAP_INTERVALS : times[row]));
  return [outTimes, ...columns.map((column, at) => broken(rows, outTimes, column, limit_s, kepts[at] ?? new Map()))];
}

/** Indices of the rows to draw; -(i + 1) stands for an empty row after row i. */
function breakRows(times, limit_s) {
  const rows = [];
  for (let at = 0; at < times.length; at += 1) {
    if (at && times[at] - times[at - 1] > limit_s) rows.push(-at);
    rows.push(at);
  }
  return rows;
}

function broken(rows, outTimes, column, limit_s, kept) {
  const out = rows.map((row) => (row < 0 ? undefined : column[row]));
  const standsFor = (at) => kept.get(outTimes[at])?.weight ?? 1;
  let last = -1;
  for (let at = 0; at < out.length; at += 1) {
    if (out[at] === undefined) continue;
    const reach_s = last < 0 ? Infinity : (limit_s * (standsFor(last) + standsFor(at))) / 2;
    if (at > last + 1 && outTimes[at] - outTimes[last] > reach_s) out[last + 1] = null;
    last = at;
  }
  if (last >= 0 && last < out.length - 1 && outTimes.at(-1) - outTimes[last] > limit_s) out[last + 1] = null;
  return out;
}

/**
 * Growth per second of a running total; the first point and one that follows a fall (a restart) have none.
 * @param {number[]} times
 * @param {(number|undefined)[]} totals
 * @returns {(number|undefined)[]}
 */
export function perSecond(times, totals) {
  const out = new Array(totals.length).fill(undefined);
  let last = -1;
  for (let at = 0; at < totals.length; at += 1) {
    if (totals[at] === undefined) continue;
    if (last >= 0 && totals[at] >= totals[last]) out[at] = (totals[at] - totals[last]) / (times[at] - times[last]);
    last = at;
  }
  return out;
}

/**
 * How much a running total grew over a column; a fall is a restart from 0.
 * @param {(number|undefined)[]} totals
 * @returns {number}
 */
export function growth(totals) {
  let sum = 0;
  let last;
  for (const total of totals) {
    if (total === undefined) continue;
    if (last !== undefined) sum += total >= last ? total - last : total;
    last = total;
  }
  return sum;
}
