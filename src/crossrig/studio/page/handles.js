// @ts-check
// Handles on the result: landmarks of the face that are dragged, and the expression or the shape follows.

import { $ } from "./dom.js";
import { Knob } from "./knob.js";
import { dragHandle, showHandles } from "./protocol.js";

export class Handles {
  #line;
  /** @type {Map<string, Knob>} */
  #knobs = new Map();
  /** @type {import("./protocol.js").ClientMessage | null} the newest place of a hand that was not sent yet */
  #pending = null;
  #on = false;

  /** @param {import("./connection.js").Connection} line */
  constructor(line) {
    this.#line = line;
  }

  get on() {
    return this.#on;
  }

  set on(on) {
    this.#on = on;
    $("handles").setAttribute("aria-pressed", String(on));
    $("handles-what").hidden = !on;
    $("handle-layer").hidden = !on;
    this.ask();
  }

  /** Have the server tell where they are. */
  ask() {
    this.#line.send(showHandles(this.#on));
  }

  /** @param {import("./protocol.js").Handles} message */
  show({ revision, handles }) {
    const layer = $("handle-layer");
    for (const { name, title, x, y } of handles) {
      let knob = this.#knobs.get(name);
      if (!knob) {
        knob = new Knob(title, (...to) => this.#drag(name, ...to));
        this.#knobs.set(name, knob);
        layer.append(knob.element);
      }
      // a hand that is on it is never moved
      if (!knob.held) knob.place(x, y);
      knob.element.hidden = x < 0 || x > 1 || y < 0 || y > 1;
    }
    layer.dataset.revision = String(revision);
  }

  /**
   * @param {string} name
   * @param {number} x
   * @param {number} y
   * @param {boolean} settled
   */
  #drag(name, x, y, settled) {
    const message = dragHandle(name, x, y, $("handles-follow").value, settled);
    if (settled) {
      this.#pending = null;
      this.#line.send(message);
      return;
    }
    // many places within one picture of the screen become one message
    if (!this.#pending) requestAnimationFrame(() => this.#flush());
    this.#pending = message;
  }

  #flush() {
    if (this.#pending) this.#line.send(this.#pending);
    this.#pending = null;
  }
}
