/** Shortcuts: one letter each, none while somebody types, and a list of them behind "?". */

import { h } from "./dom.js";

/**
 * @typedef {{key: string, words: string, run: () => void}} Shortcut
 */

export class Keys {
  #shortcuts = new Map();
  #dialog = h("dialog", { class: "keys", "aria-labelledby": "keys-title" });

  /** @param {Shortcut[]} shortcuts */
  constructor(shortcuts) {
    const all = [...shortcuts, { key: "?", words: "this list", run: () => this.toggle() }];
    for (const shortcut of all) this.#shortcuts.set(shortcut.key, shortcut);
    const rows = all.map(({ key, words }) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, words)));
    const close = h("button", { type: "button", onclick: () => this.#dialog.close() }, "Close");
    this.#dialog.append(h("h2", { id: "keys-title" }, "Keyboard"), h("dl", {}, ...rows), close);
    document.body.append(this.#dialog);
    addEventListener("keydown", (event) => this.#take(event));
  }

  /** Show the list, or put it away. */
  toggle() {
    if (this.#dialog.open) this.#dialog.close();
    else this.#dialog.showModal();
  }

  #take(event) {
    const isTyping = event.target instanceof Element && event.target.matches("input, select, textarea");
    const shortcut = this.#shortcuts.get(event.key);
    if (!shortcut || isTyping || event.ctrlKey || event.altKey || event.metaKey) return;
    if (this.#dialog.open && event.key !== "?") return;
    event.preventDefault();
    shortcut.run();
  }
}
