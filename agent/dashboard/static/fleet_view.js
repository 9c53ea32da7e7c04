/** All hosts as tiles: filtered, sorted, searched; arrow keys walk over them. */

import { arrange, h, setData, setText } from "./dom.js";
import { ORDERS, choose } from "./fleet_order.js";
import { FleetTile } from "./fleet_tile.js";
import { plural } from "./format.js";
import { HEALTHS, HEALTH_WORDS } from "./health.js";

const REFRESH_MS = 2000;

export class FleetView {
  #store;
  #now_s;
  #title = h("h1", { tabindex: "-1" }, "Hosts");
  #search = h("input", { type: "search", id: "fleet-search", placeholder: "Search name or label  ( / )", "aria-label": "Search hosts", dataset: { testid: "search" }, autocomplete: "off" });
  #order = h("select", { "aria-label": "Order", dataset: { testid: "order" } }, ...ORDERS.map(([key, words]) => h("option", { value: key }, words)));
  #filters = h("div", { class: "health-filters", role: "group", "aria-label": "Show" });
  #grid = h("div", { class: "tiles", dataset: { testid: "tiles" } });
  #note = h("p", { class: "empty", role: "status" });
  #tiles = new Map();
  #health = "";

  /** @param {import("./store.js").Store} store @param {() => number} now_s The hub's clock. */
  constructor(store, now_s) {
    this.#store = store;
    this.#now_s = now_s;
    const controls = h("div", { class: "controls" }, this.#search, this.#order);
    this.root = h("div", {}, h("div", { class: "head" }, this.#title, this.#filters, controls), this.#grid, this.#note);
    this.#filters.append(...["", ...HEALTHS].map((health) => this.#filterButton(health)));
    this.#search.addEventListener("input", () => this.#arrange());
    this.#order.addEventListener("change", () => this.#arrange());
    this.#grid.addEventListener("keydown", (event) => this.#walk(event));
    store.addEventListener("agents", () => this.#refresh());
    setInterval(() => this.#refresh(), REFRESH_MS);
    this.#refresh();
  }

  focus() {
    this.#title.focus({ preventScroll: true });
  }

  focusSearch() {
    this.#search.focus();
  }

  #filterButton(health) {
    const text = health ? HEALTH_WORDS[health] : "All";
    const onclick = () => {
      this.#health = health;
      this.#arrange();
    };
    return h("button", { type: "button", dataset: { health }, onclick }, text, " ", h("b"));
  }

  #refresh() {
    if (!this.root.isConnected || this.root.parentElement.hidden) return;
    const now_s = this.#now_s();
    for (const agent of this.#store.agents.values()) {
      const tile = this.#tiles.get(agent.name) ?? new FleetTile(agent.name);
      this.#tiles.set(agent.name, tile);
      tile.show(agent, this.#store.health(agent), this.#store.openBreakers(agent.name), now_s);
    }
    for (const name of this.#tiles.keys()) if (!this.#store.agents.has(name)) this.#tiles.delete(name);
    this.#arrange();
  }

  /** Bring the view up to date after it was hidden. */
  shown() {
    this.#refresh();
  }

  #arrange() {
    const all = [...this.#tiles.values()];
    const chosen = choose(all, { query: this.#search.value, health: this.#health, order: this.#order.value });
    const focused = this.#grid.contains(document.activeElement) ? document.activeElement : null;
    arrange(this.#grid, chosen.map((tile) => tile.root));
    if (focused?.isConnected) focused.focus({ preventScroll: true });
    setText(this.#note, this.#noteText(all.length, chosen.length));
    this.#countFilters(all);
    setData(this.#grid, "shown", chosen.length);
  }

  #countFilters(all) {
    for (const button of this.#filters.children) {
      const { health } = button.dataset;
      const number = health ? all.filter((tile) => tile.health === health).length : all.length;
      setText(button.lastChild, String(number));
      button.setAttribute("aria-pressed", String(health === this.#health));
      button.hidden = Boolean(health) && number === 0 && health !== this.#health;
    }
  }

  #noteText(all, shown) {
    if (!this.#store.isKnown) return "Asking the hub …";
    if (!all) return "No agent has reported to this hub yet. Start one with: rebellion agent";
    return shown ? "" : `None of ${plural(all, "host")} matches.`;
  }

  /** Left and right to the neighbours, up and down by rows. */
  #walk(event) {
    const tiles = [...this.#grid.children];
    const at = tiles.indexOf(document.activeElement);
    if (at < 0) return;
    const perRow = Math.max(1, tiles.findIndex((tile) => tile.offsetTop > tiles[0].offsetTop));
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -perRow, ArrowDown: perRow, Home: -at, End: tiles.length - 1 - at }[event.key];
    const next = step === undefined ? undefined : tiles[at + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }
}
