// @ts-check
// A knob on a picture: dragged, or moved with the arrow keys. Places are shares of the picture, 0 to 1 from its left and top.

import { make } from "./dom.js";

export class Knob {
  x = 0.5;
  y = 0.5;
  /** whether a hand is on it */
  held = false;
  #moved = false;

  /**
   * @param {string} label what it is, for screen readers and as a hint
   * @param {(x: number, y: number, settled: boolean) => void} act what moving it does
   */
  constructor(label, act) {
    const element = make("button", { class: "knob", type: "button", title: label, "aria-label": `${label}. The arrow keys move it.` });
    this.element = /** @type {HTMLButtonElement} */ (element);
    element.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      if (event.button !== 0) return;
      element.setPointerCapture(event.pointerId);
      this.held = true;
      this.#moved = false;
    });
    element.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      if (!this.held || !element.parentElement) return;
      const box = element.parentElement.getBoundingClientRect();
      this.place((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
      this.#moved = true;
      act(this.x, this.y, false);
    });
    const end = () => {
      if (this.held && this.#moved) act(this.x, this.y, true);
      this.held = false;
    };
    element.addEventListener("pointerup", end);
    element.addEventListener("pointercancel", end);
    element.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const step = event.shiftKey ? 0.03 : 0.005;
      const move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
      if (!move || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      event.stopPropagation();
      this.place(this.x + move[0], this.y + move[1]);
      act(this.x, this.y, true);
    });
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  place(x, y) {
    this.x = Math.min(Math.max(x, 0), 1);
    this.y = Math.min(Math.max(y, 0), 1);
    this.element.style.setProperty("--x", String(this.x));
    this.element.style.setProperty("--y", String(this.y));
  }
}
