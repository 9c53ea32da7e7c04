/** Gaps that follow each other, as one: a minute of thinning out is one thing that happened, not sixty. Pure. */

const GAP = "gap.announced";
/** Gaps further apart than this are two things that happened. */
const APART_S = 10;

/**
 * @param {Object[]} events Oldest first.
 * @returns {Object[]} The same, oldest first. Gaps of one host and one reason stand where the newest of them is: `gaps` of them, their
 *   points together, from the first one's `from_s` on.
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
  const points = before.detail.points + event.detail.points;
  return { ...event, detail: { ...event.detail, points, from_s: before.detail.from_s, gaps: (before.detail.gaps ?? 1) + 1 } };
}
