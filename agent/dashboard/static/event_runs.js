/** Gaps that follow each other, as one: a minute of thinning out is one thing that happened, not sixty. Pure. */

const GAP = "gap.announced";
/** Gaps further apart than this are two things that happened. */
const APART_S = 10;

/**
 * @param {Object[]} events Oldest first.
 * @returns {Object[]} The same, oldest first. Gaps of one host and one reason stand where the newest of them is: `gaps` of them, their
 *   points together (in all and by lane), from the first one's `from_s` on.
 */
export function foldGaps(events) {
  const newest = new Map();
  const places = [];
  for (const event of events) {
    const key = event.kind === GAP ? `${event.agent}\n${event.detail?.reason}` : null;
    const at = newest.get(key);
    const isNext = key !== null && at !== undefined && event.time_s - places[at].time_s <= APART_S;
    places.push(isNext ? joined(places[at], event) : event);
    if (isNext) places[at] = null;
    if (key !== null) newest.set(key, places.length - 1);
  }
  return places.filter((event) => event !== null);
}

function joined(before, event) {
  const one = before.detail, other = event.detail;
  const counts = Object.keys({ ...one, ...other }).filter((key) => key === "points" || key.endsWith("_points"));
  const sums = Object.fromEntries(counts.map((key) => [key, (one[key] ?? 0) + (other[key] ?? 0)]));
  return { ...event, detail: { ...other, ...sums, from_s: one.from_s, gaps: (one.gaps ?? 1) + 1 } };
}
