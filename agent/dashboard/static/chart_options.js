/** How one chart is set up in uPlot. */

import { drawAnomalies } from "./chart_anomalies.js";
import { drawBounds } from "./chart_kept.js";
import { forecastBands, forecastSeries } from "./chart_forecast.js";
import { clock, value } from "./format.js";

const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
const SYNC = "host";
/** Spread below which, relative to the maximum, a line far from zero is shown on its own scale. */
const NARROW_RATIO = 0.05;

/**
 * Range of the value axis: from zero, so that heights can be compared; a nearly constant large number gets its own.
 * @param {number|null} min @param {number|null} max Of the data.
 * @param {string} unit
 * @returns {[number, number]}
 */
export function valueRange(min, max, unit) {
  if (min === null || max === null || !Number.isFinite(min) || !Number.isFinite(max)) return [0, 1];
  const isNarrow = (unit === "" || unit === "s") && max > 100 && max - min < max * NARROW_RATIO;
  if (isNarrow || min < 0) {
    const margin = (max - min || Math.abs(max) * 0.1 || 1) * 0.1;
    return [min - margin, max + margin];
  }
  if (max === 0) return [0, 1];
  return [0, unit === "ratio" && max > 0.7 && max <= 1 ? 1 : max * 1.12];
}

/**
 * @param {{width: number, height: number, unit: string, names: string[], colors: number[], theme: import("./chart_theme.js").ChartTheme,
 *   range_s: () => [number, number], onCursor: (index: number|null) => void, lines: import("./chart_model.js").Line[], hasBounds: boolean, hasForecast: boolean}} wanted
 * @returns {Object} Options of uPlot.
 */
export function chartOptions({ width, height, unit, names, colors, theme, range_s, onCursor, lines, hasBounds, hasForecast }) {
  const axis = { stroke: theme.text, font: FONT, grid: { stroke: theme.grid, width: 1 }, ticks: { show: false } };
  return {
    width,
    height,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: SYNC }, drag: { x: false, y: false }, y: false, points: { size: 6 } },
    scales: {
      x: { time: true, range: () => range_s() },
      y: { range: (_, min, max) => valueRange(min, max, unit) },
    },
    axes: [
      { ...axis, size: 26, space: (_plot, _axis, from_s, to_s) => (to_s - from_s < 300 ? 62 : 46), values: (_, splits, _axis, _space, step_s) => splits.map((at) => timeLabel(at, step_s)) },
      { ...axis, size: 62, space: 30, gap: 4, incrs: steps(unit), values: (_, splits) => splits.map((at) => value(at, unit)) },
    ],
    series: [{}, ...names.map((name, at) => lineOptions(name, colors[at], theme, names.length)), ...(hasForecast ? forecastSeries(theme) : [])],
    bands: hasForecast ? forecastBands(theme) : [],
    hooks: {
      setCursor: [(plot) => onCursor(plot.cursor.idx ?? null)],
      drawAxes: hasBounds ? [(plot) => drawBounds(plot, lines, theme, colors)] : [],
      draw: [(plot) => drawAnomalies(plot, lines, theme)],
    },
  };
}

/** Seconds only where labels lie closer than a minute. */
function timeLabel(at, step_s) {
  return step_s >= 60 ? clock(at).slice(0, 5) : clock(at);
}

/** Distances that labels may have; bytes go by powers of two, so that 2 GiB is not called 1.86. */
function steps(unit) {
  return unit.startsWith("bytes") ? Array.from({ length: 60 }, (_, power) => 2 ** power) : undefined;
}

function lineOptions(name, color, theme, lineCount) {
  return {
    label: name,
    stroke: theme.lines[color],
    fill: lineCount === 1 ? theme.fills[color] : undefined,
    width: 1.5,
    spanGaps: false,
    points: { show: false, filter: lonePoints },
  };
}

/** Points that have no neighbour to draw a line to, which would not be seen otherwise. */
function lonePoints(plot, seriesIndex) {
  const ys = plot.data[seriesIndex];
  const [from, to] = plot.series[0].idxs ?? [0, ys.length - 1];
  const lone = [];
  for (let at = from; at <= to; at += 1) {
    if (isPoint(ys[at]) && !hasNeighbour(ys, at, -1) && !hasNeighbour(ys, at, 1)) lone.push(at);
  }
  return lone;
}

const isPoint = (y) => y !== null && y !== undefined;

function hasNeighbour(ys, at, step) {
  let next = at + step;
  while (ys[next] === undefined && next >= 0 && next < ys.length) next += step;
  return isPoint(ys[next]);
}
