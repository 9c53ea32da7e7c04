/** The life of one breaker as stretches of time, put together from its samples and its events. Pure. */

export const STATES = ["CLOSED", "HALF_OPEN", "OPEN"];
/** A stretch of which nothing is known: no samples came from the agent. */
export const UNKNOWN = "UNKNOWN";

const STATE_OF_KIND = {
  "breaker.opened": "OPEN",
  "breaker.half_opened": "HALF_OPEN",
  "breaker.closed": "CLOSED",
};

/** State that a sample of `agent_breaker_state` stands for. @param {number} value 0, 1 or 2 */
export function stateOfValue(value) {
  return STATES[Math.round(value)] ?? UNKNOWN;
}

/** State after an event; undefined when the event is not a breaker's. @param {{kind: string}} event */
export function stateOfEvent(event) {
  return STATE_OF_KIND[event.kind];
}

/**
 * @typedef {{state: string, from_s: number, to_s: number}} Stretch
 */

/**
 * Stretches from `from_s` to `to_s`, oldest first, without holes between them.
 * @param {{time_s: number, state: string}[]} samples Rising in time.
 * @param {{time_s: number, state: string}[]} changes From events, rising in time; exact to less than a sample's distance.
 * @param {number} from_s @param {number} to_s Unix seconds of the window.
 * @param {number} gap_s Seconds without a sample after which the state is unknown.
 * @returns {Stretch[]}
 */
export function stretches(samples, changes, from_s, to_s, gap_s) {
  const marks = [...samples, ...silences(samples, to_s, gap_s), ...changes].sort((a, b) => a.time_s - b.time_s);
  const out = [];
  let now = { state: UNKNOWN, from_s };
  for (const mark of marks) {
    if (mark.time_s > to_s || mark.state === now.state) continue;
    const at_s = Math.max(mark.time_s, from_s);
    if (at_s > now.from_s) out.push({ ...now, to_s: at_s });
    now = { state: mark.state, from_s: at_s };
  }
  if (to_s > now.from_s) out.push({ ...now, to_s });
  return out;
}

/** Where knowledge ends: one usual distance after a sample that none follows in time. */
function silences(samples, to_s, gap_s) {
  const out = [];
  samples.forEach((sample, at) => {
    const next_s = samples[at + 1]?.time_s ?? to_s;
    if (next_s - sample.time_s > gap_s) out.push({ time_s: sample.time_s + gap_s / 2, state: UNKNOWN });
  });
  return out;
}

/**
 * The newest known state and since when. Silence inside does not end a state, and a failed probe does not begin OPEN anew.
 * @param {Stretch[]} life
 * @returns {{state: string, since_s: number}} `since_s` is NaN when it began before the window or is not known.
 */
export function present(life) {
  const known = life.filter((stretch) => stretch.state !== UNKNOWN);
  const state = known.at(-1)?.state ?? UNKNOWN;
  const ends = (stretch) => stretch.state !== state && !(state === "OPEN" && stretch.state === "HALF_OPEN");
  const other = known.findLastIndex(ends);
  return { state, since_s: other < 0 ? NaN : known[other + 1].from_s };
}

/** How often the breaker opened within its stretches; what it was before a silence counts. @param {Stretch[]} life */
export function trips(life) {
  const known = life.filter((stretch) => stretch.state !== UNKNOWN);
  return known.filter((stretch, at) => stretch.state === "OPEN" && at > 0 && known[at - 1].state !== "OPEN").length;
}
