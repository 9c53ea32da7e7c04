/** Head of a host's page: who it is, whether it lives, which stretch of time is shown. */

import { arrange, h, setData, setText } from "./dom.js";
import { age, count } from "./format.js";
import { HEALTH_WORDS } from "./health.js";
import { hostRoute } from "./route.js";

export const WINDOWS_S = [[120, "2 min"], [300, "5 min"], [900, "15 min"], [3600, "1 h"], [21_600, "6 h"]];

export class HostHeader {
  /** Where the focus goes when the page of the host opens. */ title = h("h1", { tabindex: "-1", dataset: { testid: "host-name" } });
  #chip = h("span", { class: "chip", role: "status", dataset: { testid: "host-health" } });
  #silence = h("p", { class: "silence", dataset: { testid: "silence" }, hidden: true });
  #labels = h("p", { class: "labels" });
  #facts = h("p", { class: "host-facts" });

  /** @param {string} name @param {number} window_s */
  constructor(name, window_s) {
    setText(this.title, name);
    /** Chooses the stretch of time. */ this.window = windowSelect(name, window_s);
    this.root = h(
      "header",
      { class: "host-head" },
      h("a", { class: "back", href: "#/" }, "← All hosts"),
      h("div", { class: "host-line" }, this.title, this.#chip, this.#labels, this.window),
      this.#facts,
      this.#silence,
    );
  }

  /**
   * @param {Object|undefined} agent What the hub says of it; undefined when it knows none of that name.
   * @param {string} health
   * @param {number} silence_s Seconds since its newest point.
   * @param {boolean} isSilent
   */
  show(agent, health, silence_s, isSilent) {
    setData(this.#chip, "state", agent ? health : "unknown");
    setText(this.#chip, agent ? healthText(agent, health) : "Unknown");
    this.#chip.title = "Of the agent and its host; the number is the host's own health, 0 to 100";
    this.#silence.hidden = !isSilent;
    setText(this.#silence, isSilent ? silenceText(agent, silence_s) : "");
    if (!agent) return;
    const labels = Object.entries(agent.labels ?? {}).map(([key, text]) => `${key}=${text}`);
    if (this.#labels.childElementCount !== labels.length) arrange(this.#labels, labels.map((text) => h("span", { class: "label" }, text)));
    setText(this.#facts, factsText(agent));
  }
}

function healthText(agent, health) {
  const score = typeof agent.health_score === "number" ? ` · ${Math.round(agent.health_score)}` : "";
  return `${HEALTH_WORDS[health]}${score}`;
}

function silenceText(agent, silence_s) {
  if (!Number.isFinite(silence_s)) return "Nothing has come from this agent yet.";
  const why = agent && !agent.connected ? " It is not connected to the hub." : " It is connected, but sends nothing.";
  return `Agent silent for ${age(silence_s)}.${agent ? why : ""}`;
}

function factsText(agent) {
  const facts = [
    `${count(agent.series_count)} series`,
    `${count(agent.points_total)} points in ${count(agent.batches_total)} batches`,
    `${count(agent.duplicates_total)} sent twice, stored once`,
    `${count(agent.gap_points_total)} dropped on purpose`,
    `version ${agent.version || "?"}`,
    `epoch ${agent.epoch}`,
  ];
  return facts.join(" · ");
}

function windowSelect(name, window_s) {
  const options = WINDOWS_S.map(([seconds, text]) => h("option", { value: seconds, selected: seconds === window_s }, `last ${text}`));
  const onchange = (event) => {
    location.hash = hostRoute(name, Number(event.target.value));
  };
  return h("select", { class: "window", "aria-label": "Time shown", dataset: { testid: "window" }, onchange }, ...options);
}
