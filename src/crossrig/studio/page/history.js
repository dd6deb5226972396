// @ts-check
// The strip of steps with their pictures.

import { $, make } from "./dom.js";
import { goTo } from "./protocol.js";

export class History {
  #line;
  /** @type {Map<number, string>} number of a step -> address of its picture */
  #thumbs = new Map();

  /** @param {import("./connection.js").Connection} line */
  constructor(line) {
    this.#line = line;
  }

  /** Another picture. */
  forget() {
    for (const address of this.#thumbs.values()) URL.revokeObjectURL(address);
    this.#thumbs.clear();
    $("history").replaceChildren();
  }

  /** @param {import("./protocol.js").Edited} edited */
  show(edited) {
    const strip = $("history");
    const items = edited.entries.map((entry) => {
      const current = entry.number === edited.position;
      const picture = make("img", { alt: "", width: 56, height: 56 });
      const address = this.#thumbs.get(entry.number);
      if (address) picture.src = address;
      else picture.classList.add("empty");
      const button = make("button", { title: entry.label, "data-entry": entry.number }, picture, make("span", { textContent: entry.label }));
      if (current) button.setAttribute("aria-current", "step");
      button.addEventListener("click", () => this.#line.send(goTo(entry.number)));
      return make("li", {}, button);
    });
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.entry;
    strip.replaceChildren(...items);
    if (focused) strip.querySelector(`[data-entry="${Number(focused)}"]`)?.focus();
    strip.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /**
   * @param {number} number
   * @param {Blob} picture
   */
  addThumb(number, picture) {
    const old = this.#thumbs.get(number);
    if (old) URL.revokeObjectURL(old);
    const address = URL.createObjectURL(picture);
    this.#thumbs.set(number, address);
    const image = $("history").querySelector(`[data-entry="${number}"] img`);
    if (image) {
      image.src = address;
      image.classList.remove("empty");
    }
  }
}
