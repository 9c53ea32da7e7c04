/** The events of all hosts, on a page of their own. */

import { EventsPanel } from "./events_panel.js";

export class EventsView {
  #panel;
  #frame = 0;

  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.#panel = new EventsPanel(store, true);
    this.#panel.root.classList.add("fleet-events");
    this.root = this.#panel.root;
    store.addEventListener("events", () => this.#drawSoon());
  }

  /** Bring the view up to date after it was hidden. */
  shown() {
    this.#drawSoon();
  }

  focus() {
    this.root.querySelector("h1").focus({ preventScroll: true });
  }

  focusSearch() {
    this.#panel.focusSearch();
  }

  /** At most once a frame, and only while it is seen: a fleet in trouble tells much. */
  #drawSoon() {
    if (this.#frame || !this.root.isConnected || this.root.parentElement.hidden) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#panel.draw();
    });
  }
}
