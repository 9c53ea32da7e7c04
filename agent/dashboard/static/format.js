/** Numbers, times and ages as people read them. */

const IEC = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const SI = ["", "k", "M", "G", "T"];

/** A number in few figures, without a tail of zeros. */
export function figures(value) {
  const size = Math.abs(value);
  if (size >= 100 || Number.isInteger(value)) return String(Math.round(value));
  return String(Number(value.toFixed(size >= 10 ? 1 : size >= 0.1 ? 2 : 4)));
}

function scaled(value, base, steps) {
  let step = 0;
  let size = value;
  while (Math.abs(size) >= base && step < steps.length - 1) {
    size /= base;
    step += 1;
  }
  return [size, steps[step]];
}

/**
 * A length of time.
 * @param {number} seconds
 * @returns {string} "12 ms", "4.2 s", "3 min 20 s", "5 h 2 min", "9 d 3 h"
 */
export function duration(seconds) {
  const size = Math.abs(seconds);
  if (size === 0) return "0 s";
  if (size < 1e-3) return `${figures(seconds * 1e6)} µs`;
  if (size < 1) return `${figures(seconds * 1e3)} ms`;
  if (size < 60) return `${figures(seconds)} s`;
  const whole = Math.round(seconds);
  if (size < 3600) return pair(Math.floor(whole / 60), "min", whole % 60, "s");
  if (size < 86_400) return pair(Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "min");
  return pair(Math.floor(whole / 86_400), "d", Math.floor((whole % 86_400) / 3600), "h");
}

function pair(big, bigUnit, small, smallUnit) {
  return small ? `${big} ${bigUnit} ${small} ${smallUnit}` : `${big} ${bigUnit}`;
}

/** An age in whole seconds or larger units; never negative. */
export function age(seconds) {
  return duration(Math.max(0, Math.floor(seconds)));
}

/** A count: "812", "12.3 k". */
export function count(value) {
  const [size, step] = scaled(value, value < 10_000 ? Infinity : 1000, SI);
  return step ? `${figures(size)} ${step}` : figures(size);
}

/**
 * A value of a series.
 * @param {number|null|undefined} value
 * @param {string} unit Unit of the series: "ratio", "bytes", "bytes/s", "s", "" ...
 * @returns {string} "–" when there is no value
 */
export function value(value, unit) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (unit === "ratio") return `${figures(value * 100)} %`;
  if (unit === "s") return duration(value);
  if (unit === "bytes" || unit === "bytes/s") {
    const [size, step] = scaled(value, 1024, IEC);
    return `${figures(size)} ${step}${unit.slice(5)}`;
  }
  const suffix = unit.replace(/^1\//, "/");
  return suffix ? `${count(value)}${suffix.startsWith("/") ? "" : " "}${suffix}` : count(value);
}

/** Time of day, local: "14:03:07". */
export function clock(unixSeconds) {
  return new Date(unixSeconds * 1000).toLocaleTimeString("en-GB");
}

/** Date and time of day, local, for titles. */
export function moment(unixSeconds) {
  return new Date(unixSeconds * 1000).toLocaleString("en-GB");
}

/** "1 host", "2 hosts"; "2 anomalies" where adding an s is not enough. */
export function plural(number, noun, nouns = `${noun}s`) {
  return `${count(number)} ${number === 1 ? noun : nouns}`;
}
