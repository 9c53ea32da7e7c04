/** What is known of the whole fleet: the agents, and which of their breakers are open. */

import { stateOfEvent } from "./breaker_history.js";
import { healthOf } from "./health.js";

export class Store extends EventTarget {
  /** By name. @type {Map<string, Object>} */ agents = new Map();
  /** True after the hub's first answer. */ isKnown = false;
  #openBreakers = new Map();
  #now_s;

  /** Dispatches `agents` after each change. @param {() => number} now_s The hub's clock. */
  constructor(now_s) {
    super();
    this.#now_s = now_s;
  }

  /** Take the hub's list; points per second come from the difference to the one before. @param {Object[]} agents */
  setAgents(agents) {
    const now_s = this.#now_s();
    const before = this.agents;
    this.agents = new Map(agents.map((agent) => [agent.name, withRate(agent, before.get(agent.name), now_s)]));
    this.isKnown = true;
    this.dispatchEvent(new Event("agents"));
  }

  /** Learn of open breakers from any agent's events. */
  noteEvent(event) {
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
  const from = before?.rateFrom ?? { points: agent.points_total, at_s: now_s };
  const span_s = now_s - from.at_s;
  if (span_s < MIN_RATE_SPAN_S) return { ...agent, rateFrom: from, points_per_s: before?.points_per_s };
  const points_per_s = Math.max(0, agent.points_total - from.points) / span_s;
  return { ...agent, rateFrom: { points: agent.points_total, at_s: now_s }, points_per_s };
}
