/** What the page says about its connection to the hub. */

import { h, setData, setText } from "./dom.js";
import { age } from "./format.js";

const CHIP = { connecting: "Connecting", live: "Live", waiting: "Hub unreachable", refused: "Token wanted" };
const SHOWN_AFTER_MS = 1500;

export class Banner {
  #live;
  #chip;
  #box;
  #text = h("span", { class: "banner-text" });
  #goneAt_ms = null;

  /**
   * @param {import("./live.js").Live} live
   * @param {HTMLElement} chip @param {HTMLElement} box
   */
  constructor(live, chip, box) {
    this.#live = live;
    this.#chip = chip;
    this.#box = box;
    box.append(this.#text, h("button", { type: "button", onclick: () => live.retryNow() }, "Try now"));
    live.addEventListener("phase", () => this.#show());
    setInterval(() => this.#show(), 250);
    this.#show();
  }

  #show() {
    const { phase } = this.#live;
    const now_ms = performance.now();
    if (phase === "live") this.#goneAt_ms = null;
    else this.#goneAt_ms ??= now_ms;
    const isOld = this.#goneAt_ms !== null && now_ms - this.#goneAt_ms > SHOWN_AFTER_MS;
    setData(this.#chip, "state", phase);
    setText(this.#chip, CHIP[phase]);
    setText(this.#text, this.#words(now_ms));
    this.#box.hidden = phase === "live" || (phase === "connecting" && !isOld);
  }

  #words(now_ms) {
    const { phase, retryAt_ms } = this.#live;
    if (phase === "live") return "";
    if (phase === "refused") return "The hub wants a read token: open this page as ?token=… with the token of the hub's read_token_file.";
    const gone = this.#goneAt_ms === null ? "" : ` Gone for ${age((now_ms - this.#goneAt_ms) / 1000)}; what is shown may be old.`;
    if (phase === "connecting") return `Hub unreachable, trying now.${gone}`;
    return `Hub unreachable, reconnecting in ${Math.max(1, Math.ceil((retryAt_ms - now_ms) / 1000))} s.${gone}`;
  }
}
