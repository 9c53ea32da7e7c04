/** What is known of the whole fleet: the agents, their newest events, and which of their breakers are open. */

import { stateOfEvent } from "./breaker_history.js";
import { healthOf } from "./health.js";

const MAX_EVENTS = 2000;

export class Store extends EventTarget {
  /** By name. @type {Map<string, Object>} */ agents = new Map();
  /** True after the hub's first answer. */ isKnown = false;
  /** Of all hosts, oldest first. @type {Object[]} */ events = [];
  /** True when an agent itself answers, which knows no host but its own. */ isAgent = false;
  /** What else can be asked here: "forecast". @type {Set<string>} */ can = new Set();
  #openBreakers = new Map();
  #now_s;

  /** Dispatches `agents` and `events` after each change. @param {() => number} now_s The hub's clock. */
  constructor(now_s) {
    super();
    this.#now_s = now_s;
  }

  /**
   * Take the hub's list; points and drops per second come from the difference to the one before.
   * @param {{agents: Object[], source?: string, can?: string[]}} message
   */
  setAgents({ agents, source, can }) {
    if (source !== undefined) this.isAgent = source === "agent";
    if (can !== undefined) this.can = new Set(can);
    const now_s = this.#now_s();
    const before = this.agents;
    this.agents = new Map(agents.map((agent) => [agent.name, withRate(agent, before.get(agent.name), now_s)]));
    this.isKnown = true;
    this.dispatchEvent(new Event("agents"));
  }

  /** Take past events of all hosts, oldest first, in the place of what was known of that time. @param {Object[]} past */
  setPast(past) {
    const newest_s = past.at(-1)?.time_s ?? -Infinity;
    this.events = [...past, ...this.events.filter((event) => event.time_s > newest_s)].slice(-MAX_EVENTS);
    past.forEach((event) => this.#learn(event));
    this.dispatchEvent(new Event("events"));
  }

  /** Take one live event. */
  noteEvent(event) {
    this.events.push(event);
    if (this.events.length > MAX_EVENTS) this.events.shift();
    this.#learn(event);
    this.dispatchEvent(new Event("events"));
  }

  /** Learn of open breakers from any agent's events. */
  #learn(event) {
    const state = stateOfEvent(event);
    if (!state) return;
    const open = this.#openBreakers.get(event.agent) ?? new Set();
    if (state === "CLOSED") open.delete(event.component);
    else open.add(event.component);
    this.#openBreakers.set(event.agent, open);
  }

  /** How many of an agent's breakers are open or half open, as far as events told. */
  openBreakers(name) {
    return this.#openBreakers.get(name)?.size ?? 0;
  }

  /** @param {Object} agent One of `agents`. */
  health(agent) {
    return healthOf(agent, this.#now_s(), this.openBreakers(agent.name));
  }
}

const MIN_RATE_SPAN_S = 0.9;

function withRate(agent, before, now_s) {
  const from = before?.rateFrom ?? { agent, at_s: now_s };
  const span_s = now_s - from.at_s;
  if (span_s < MIN_RATE_SPAN_S) return { ...agent, rateFrom: from, points_per_s: before?.points_per_s, dropped_per_s: before?.dropped_per_s };
  const rate = (key) => Math.max(0, agent[key] - from.agent[key]) / span_s;
  return { ...agent, rateFrom: { agent, at_s: now_s }, points_per_s: rate("points_total"), dropped_per_s: rate("gap_points_total") };
}
