/** One host in the fleet: a link with few elements, changed only where something changed. */

import { h, setData, setText } from "./dom.js";
import { age, count } from "./format.js";
import { HEALTH_WORDS } from "./health.js";
import { hostRoute } from "./route.js";

export class FleetTile {
  /** Lower-case text that a search looks in. */ haystack = "";
  /** Newest health, for sorting and filtering. */ health = "healthy";
  #chip = h("span", { class: "chip" });
  #labels = h("span", { class: "tile-labels" });
  #facts = h("span", { class: "tile-facts" });
  #score = h("span", { class: "tile-score", title: "The host's own health, 0 to 100" });
  #labelsOf = null;

  /** @param {string} name */
  constructor(name) {
    this.name = name;
    const line = h("span", { class: "tile-line" }, this.#chip, this.#facts);
    const dataset = { testid: "tile", agent: name };
    this.root = h("a", { class: "tile", href: hostRoute(name), dataset }, h("span", { class: "tile-head" }, h("b", {}, name), this.#score), this.#labels, line);
  }

  /**
   * @param {Object} agent What the hub says of it.
   * @param {string} health
   * @param {number} openBreakers
   * @param {number} now_s
   */
  show(agent, health, openBreakers, now_s) {
    this.agent = agent;
    this.health = health;
    setData(this.root, "state", health);
    setData(this.#chip, "state", health);
    setText(this.#chip, HEALTH_WORDS[health]);
    const hasScore = typeof agent.health_score === "number" && health !== "offline" && health !== "silent";
    setText(this.#score, hasScore ? String(Math.round(agent.health_score)) : "");
    setText(this.#facts, factsText(agent, health, openBreakers, now_s));
    this.#showLabels(agent.labels ?? {});
  }

  #showLabels(labels) {
    const text = Object.entries(labels).map(([key, label]) => `${key}=${label}`).join("  ");
    if (text === this.#labelsOf) return;
    this.#labelsOf = text;
    setText(this.#labels, text);
    this.haystack = `${this.name} ${text}`.toLowerCase();
  }
}

function factsText(agent, health, openBreakers, now_s) {
  const since = agent.last_seen_s ? `last seen ${age(now_s - agent.last_seen_s)} ago` : "never seen";
  if (health === "offline" || health === "silent") return since;
  const facts = openBreakers ? [openBreakers === 1 ? "1 breaker open" : `${openBreakers} breakers open`] : [];
  if (agent.dropped_per_s > 0) facts.push(`drops ${count(Math.ceil(agent.dropped_per_s))}/s`);
  facts.push(`${count(agent.series_count)} series`);
  if (agent.points_per_s !== undefined) facts.push(`${count(Math.round(agent.points_per_s))} points/s`);
  return facts.join(" · ");
}
