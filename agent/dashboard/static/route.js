/** Where on the page one is, kept in the address after "#", so that back, reload and bookmarks work. */

/**
 * @param {string} hash "#/", "#/events" or "#/host/NAME?window=900"
 * @returns {{place: "fleet"|"events"|"host", host: string|null, window_s: number|null}}
 */
export function parseRoute(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?", 2);
  const [, first, name] = path.split("/");
  const host = first === "host" && name ? decodeURIComponent(name) : null;
  const place = host ? "host" : first === "events" ? "events" : "fleet";
  const window_s = Number(new URLSearchParams(query).get("window"));
  return { place, host, window_s: window_s > 0 ? window_s : null };
}

/** Address of a host's page. @param {string} name @param {number} [window_s] */
export function hostRoute(name, window_s) {
  return `#/host/${encodeURIComponent(name)}${window_s ? `?window=${window_s}` : ""}`;
}
