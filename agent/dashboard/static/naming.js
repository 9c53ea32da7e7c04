/** What the names of series tell: their group, and what tells the lines of one chart apart. */

/** Groups that come first, in this order; all others follow by name, the agent's own last. */
const FIRST_GROUPS = ["cpu", "load", "memory", "mem", "swap", "pressure", "psi", "disk", "filesystem", "fs", "network", "net"];
const LAST_GROUP = "agent";

const LABEL = /([A-Za-z_][A-Za-z0-9_]*)="([^"]*)"/g;

/**
 * Take `name{label="value",...}` apart.
 * @param {string} text
 * @returns {{name: string, labels: Object<string, string>}}
 */
export function parseSeries(text) {
  const brace = text.indexOf("{");
  if (brace < 0) return { name: text, labels: {} };
  const labels = {};
  for (const [, key, value] of text.slice(brace).matchAll(LABEL)) labels[key] = value;
  return { name: text.slice(0, brace), labels };
}

/** The chart group of a series name: its first word. @param {string} name */
export function groupOf(name) {
  return name.split(/[_.:]/, 1)[0] || "other";
}

/** Order of two groups on the page. */
export function compareGroups(one, other) {
  return rank(one) - rank(other) || one.localeCompare(other);
}

function rank(group) {
  if (group === LAST_GROUP) return FIRST_GROUPS.length + 1;
  const at = FIRST_GROUPS.indexOf(group);
  return at < 0 ? FIRST_GROUPS.length : at;
}

/**
 * Short names for the lines of one chart: only what differs between them.
 * @param {Object<string, string>[]} labelSets
 * @returns {string[]} "" for a line without labels
 */
export function lineNames(labelSets) {
  const keys = [...new Set(labelSets.flatMap((labels) => Object.keys(labels)))];
  const telling = keys.filter((key) => new Set(labelSets.map((labels) => labels[key])).size > 1);
  const shown = telling.length ? telling : keys;
  return labelSets.map((labels) =>
    shown
      .filter((key) => key in labels)
      .map((key) => (shown.length > 1 ? `${key}=${labels[key]}` : labels[key]))
      .join(" "),
  );
}

/** Order of two line names: numbers inside by size, so that core 10 follows core 9. */
export const compareNames = new Intl.Collator("en", { numeric: true }).compare;
