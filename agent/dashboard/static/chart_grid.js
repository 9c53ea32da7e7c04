/** All charts of a host in groups; each asks for its history, and is drawn, only while it can be seen. */

import { ChartCard } from "./chart_card.js";
import { ChartGroup, compareImportance } from "./chart_group.js";
import { chartTheme, onThemeChange } from "./chart_theme.js";
import { arrange, h } from "./dom.js";
import { compareGroups, groupOf } from "./naming.js";

const AHEAD = "200px 0px";

export class ChartGrid {
  root = h("div", { class: "groups" });
  /** Buttons that lead to each group. */ jump = h("nav", { class: "jump", "aria-label": "Chart groups" });
  /** By name. @type {Map<string, ChartCard>} */ #cards = new Map();
  /** By name. @type {Map<string, ChartGroup>} */ #groups = new Map();
  #query = "";
  #data;
  #forecasts;
  #theme = chartTheme();
  #observer;
  #resizes;
  #closing = new AbortController();

  /** @param {import("./host_data.js").HostData} data @param {import("./chart_forecast.js").Forecasts} forecasts */
  constructor(data, forecasts) {
    this.#data = data;
    this.#forecasts = forecasts;
    this.#observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: AHEAD });
    this.#resizes = new ResizeObserver(() => this.#cards.forEach((card) => card.resize()));
    this.#resizes.observe(this.root);
    onThemeChange(() => this.#recolor(), this.#closing.signal);
    data.addEventListener("series", () => this.#sync());
    data.addEventListener("loaded", ({ detail }) => this.#loaded(detail));
    data.addEventListener("reloaded", () => this.#cards.forEach((card) => this.#show(card)));
  }

  /** Draw every chart in view. */
  draw() {
    this.#cards.forEach((card) => card.draw());
  }

  /** Show only charts whose name holds the text. @param {string} text */
  filter(text) {
    this.#query = text.trim().toLowerCase();
    this.#sync();
  }

  /** Let go of what watches the page. */
  close() {
    this.#closing.abort();
    this.#observer.disconnect();
    this.#resizes.disconnect();
    this.#cards.forEach((card) => card.reset());
  }

  #sync() {
    const names = [...this.#data.models.keys()].filter((name) => name.toLowerCase().includes(this.#query)).sort(compareImportance);
    const byGroup = new Map();
    for (const name of names) byGroup.set(groupOf(name), [...(byGroup.get(groupOf(name)) ?? []), this.#card(name).root]);
    const groups = [...byGroup.keys()].sort(compareGroups);
    for (const group of groups) this.#group(group).show(byGroup.get(group), this.#query !== "");
    arrange(this.root, groups.map((group) => this.#group(group).root));
    arrange(this.jump, groups.map((group) => this.#group(group).button));
  }

  #card(name) {
    let card = this.#cards.get(name);
    if (!card) {
      const context = { theme: () => this.#theme, range_s: () => this.#data.range_s(), forecasts: this.#forecasts };
      card = new ChartCard(this.#data.models.get(name), context);
      this.#cards.set(name, card);
      this.#observer.observe(card.root);
    }
    return card;
  }

  #group(name) {
    if (!this.#groups.has(name)) this.#groups.set(name, new ChartGroup(name));
    return this.#groups.get(name);
  }

  #seen(entries) {
    for (const { target, isIntersecting } of entries) {
      const card = this.#cards.get(target.dataset.name);
      card.isVisible = isIntersecting;
      this.#show(card);
    }
  }

  #show(card) {
    if (!card.isVisible) return;
    this.#data.load(card.model.name);
    card.draw();
  }

  #loaded({ name, state }) {
    const card = this.#cards.get(name);
    card?.setState(state);
    card?.draw();
  }

  #recolor() {
    this.#theme = chartTheme();
    this.#cards.forEach((card) => card.reset());
    this.draw();
  }
}
