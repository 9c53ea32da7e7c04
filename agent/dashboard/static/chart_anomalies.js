/** Rings round the points that the agent found to stand out from their own history. */

const RADIUS_PX = 4;

/**
 * Draw them over a finished chart; a hook of uPlot.
 * @param {uPlot} plot
 * @param {import("./chart_model.js").Line[]} lines In the order of the chart's series.
 * @param {import("./chart_theme.js").ChartTheme} theme
 */
export function drawAnomalies(plot, lines, theme) {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.strokeStyle = theme.anomaly;
  ctx.lineWidth = 2 * ratio;
  lines.forEach((line, at) => {
    for (const [time, value] of marked(plot.data[0], plot.data[at + 1], line.anomalies)) {
      ctx.beginPath();
      ctx.arc(plot.valToPos(time, "x", true), plot.valToPos(value, "y", true), RADIUS_PX * ratio, 0, 2 * Math.PI);
      ctx.stroke();
    }
  });
  ctx.restore();
}

/**
 * Time and value of each point that is marked.
 * @param {number[]} times @param {(number|null|undefined)[]} column @param {Set<number>} anomalies
 * @returns {[number, number][]}
 */
export function marked(times, column, anomalies) {
  if (!anomalies.size) return [];
  const found = [];
  times.forEach((time, at) => {
    if (anomalies.has(time) && column[at] !== undefined && column[at] !== null) found.push([time, column[at]]);
  });
  return found;
}
