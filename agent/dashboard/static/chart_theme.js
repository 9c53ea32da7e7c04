/** Colours of the charts, read from the style sheet so that light and dark stand in one place. */

const LINE_COUNT = 8;

/**
 * @typedef {{text: string, grid: string, lines: string[], fills: string[], anomaly: string, forecast: string, forecastFill: string}} ChartTheme
 */

/** @returns {ChartTheme} */
export function chartTheme() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  const lines = Array.from({ length: LINE_COUNT }, (_, at) => read(`--line-${at + 1}`));
  const fills = lines.map((color) => `${color}26`);
  const forecast = read("--line-4");
  return { text: read("--text-soft"), grid: read("--grid"), lines, fills, anomaly: read("--bar-open"), forecast, forecastFill: `${forecast}26` };
}

/** Call `changed` whenever the page turns light or dark, until the signal is aborted. */
export function onThemeChange(changed, signal) {
  globalThis.rebellionTheme.changes.addEventListener("change", changed, { signal });
}
