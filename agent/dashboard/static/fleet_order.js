/** Which tiles are shown, and in which order. Pure. */

import { HEALTHS, scoreOf } from "./health.js";
import { compareNames } from "./naming.js";

const byName = (one, other) => compareNames(one.name, other.name);
const falling = (key) => (one, other) => (other.agent[key] ?? 0) - (one.agent[key] ?? 0) || byName(one, other);

/** By state, then by the score that hosts give themselves. */
function worstFirst(one, other) {
  return HEALTHS.indexOf(one.health) - HEALTHS.indexOf(other.health) || scoreOf(one.agent) - scoreOf(other.agent) || byName(one, other);
}

/** Orders to choose from: key, words, comparison of two tiles. */
export const ORDERS = [
  ["health", "worst first", worstFirst],
  ["name", "by name", byName],
  ["seen", "longest unseen first", (one, other) => one.agent.last_seen_s - other.agent.last_seen_s || byName(one, other)],
  ["series", "most series first", falling("series_count")],
  ["rate", "most points/s first", falling("points_per_s")],
  ["dropped", "most dropped first", falling("gap_points_total")],
];

/**
 * @param {Object[]} tiles
 * @param {{query: string, health: string, order: string}} wanted health "" = all; the query's words must all occur.
 * @returns {Object[]}
 */
export function choose(tiles, { query, health, order }) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const passes = (tile) => (!health || tile.health === health) && words.every((word) => tile.haystack.includes(word));
  const compare = ORDERS.find(([key]) => key === order)[2];
  return tiles.filter(passes).sort(compare);
}
