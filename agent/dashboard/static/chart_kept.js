/** What a chart says of points that stand for others: how they were kept, and how far the others may be from the lines. */

import { count, value } from "./format.js";

const HOW = { shape: "for the shape", drawn: "by chance", merged: "as means", chosen: "by another rule" };

/**
 * @typedef {{weight: number, bound: number|null}} Kept
 * Of one point: how many produced ones it stands for, and how far these may be from the line to it; null = not known.
 */

/**
 * How the points of some lines were kept, in words; "" where none was left out.
 * @param {import("./chart_model.js").Line[]} lines
 * @param {string} unit Of their values; null = what is drawn has another than the bounds.
 * @returns {string}
 */
export function keptWords(lines, unit) {
  const thinned = lines.filter((line) => line.kept.size);
  if (!thinned.length) return "";
  const kept = thinned.flatMap((line) => [...line.kept.values()]);
  const stored = thinned.reduce((sum, line) => sum + line.values.filter((one) => one !== undefined).length, 0);
  const produced = stored + kept.reduce((sum, one) => sum + one.weight - 1, 0);
  const how = Object.keys(HOW).filter((method) => thinned.some((line) => line.methods.has(method)));
  const words = `${count(stored)} of ${count(Math.round(produced))} points kept ${how.map((method) => HOW[method]).join(", ")}`.trim();
  return unit === null ? words : `${words}; ${boundWords(kept, unit)}`;
}

function boundWords(kept, unit) {
  const known = kept.map((one) => one.bound).filter((bound) => bound !== null);
  if (!known.length) return "how far off the others were is not known";
  const largest = `the others at most ${value(Math.max(...known), unit)} off the line`;
  return known.length === kept.length ? largest : `${largest}, where that is known`;
}

/**
 * Draw a band round each line, as wide as the bound of each way; a hook of uPlot.
 * @param {uPlot} plot @param {import("./chart_model.js").Line[]} lines In the order of the chart's series.
 * @param {import("./chart_theme.js").ChartTheme} theme @param {number[]} colors Of the lines.
 */
export function drawBounds(plot, lines, theme, colors) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  lines.forEach((line, at) => {
    ctx.fillStyle = theme.fills[colors[at]];
    for (const way of boundedWays(plot.data[0], plot.data[at + 1], line.kept)) fillWay(plot, way);
  });
  ctx.restore();
}

function fillWay(plot, { from, to, bound }) {
  const corner = ([time, middle], off) => [plot.valToPos(time, "x", true), plot.valToPos(middle + off, "y", true)];
  const { ctx } = plot;
  ctx.beginPath();
  ctx.moveTo(...corner(from, bound));
  ctx.lineTo(...corner(to, bound));
  ctx.lineTo(...corner(to, -bound));
  ctx.lineTo(...corner(from, -bound));
  ctx.fill();
}

/**
 * The ways from point to point that have a known bound above 0.
 * @param {number[]} times @param {(number|null|undefined)[]} column null breaks the line. @param {Map<number, Kept>} kept By time.
 * @returns {{from: [number, number], to: [number, number], bound: number}[]}
 */
export function boundedWays(times, column, kept) {
  const ways = [];
  let from = null;
  if (!kept.size) return ways;
  times.forEach((time, at) => {
    if (column[at] === undefined) return;
    const to = column[at] === null ? null : [time, column[at]];
    const isKnown = from && to && kept.get(from[0])?.bound !== null;
    const bound = isKnown ? kept.get(time)?.bound : 0;
    if (bound > 0) ways.push({ from, to, bound });
    from = to;
  });
  return ways;
}
