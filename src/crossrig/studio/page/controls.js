// @ts-check
// Everything that moves a control goes through here: sliders, drags, the light. Many values within one picture of the screen become one message.

import { clearControls, setControls } from "./protocol.js";

export class Controls {
  /** @type {Record<string, number>} what is set */
  values = {};
  /** @type {Set<string>} attributes that presets and looks leave alone */
  locked = new Set();
  /** @type {Record<string, number>} what every slider should stand at */
  shown = {};
  /** @type {Set<string>} controls that a hand is on */
  held = new Set();
  #line;
  /** @type {Record<string, number>} */
  #pending = {};
  #settled = false;
  #asked = false;

  /** @param {import("./connection.js").Connection} line */
  constructor(line) {
    this.#line = line;
  }

  /** @type {Map<string, import("./protocol.js").ControlInfo>} */
  infos = new Map();

  /**
   * @param {Record<string, number>} values
   * @param {boolean} settled the hand has let go
   */
  set(values, settled) {
    for (const [name, value] of Object.entries(values)) {
      const info = this.infos.get(name);
      if (!info) continue;
      const within = Math.min(Math.max(value, info.minimum), info.maximum);
      this.#pending[name] = within;
      this.shown[name] = within;
      if (settled) this.held.delete(name);
      else this.held.add(name);
    }
    this.#settled ||= settled;
    if (settled) this.#flush();
    else if (!this.#asked) {
      // the first goes at once, those that follow within one picture of the screen together
      this.#asked = true;
      this.#flush();
      requestAnimationFrame(() => {
        this.#asked = false;
        this.#flush();
      });
    }
  }

  /**
   * Those of the values that there are controls for, within their ranges.
   * @param {Record<string, number>} values
   * @returns {Record<string, number>}
   */
  within(values) {
    return Object.fromEntries(
      Object.entries(values).flatMap(([name, value]) => {
        const info = this.infos.get(name);
        return info && Number.isFinite(value) ? [[name, Math.min(Math.max(value, info.minimum), info.maximum)]] : [];
      }),
    );
  }

  /** @param {string[]} names */
  clear(names) {
    for (const name of names) {
      delete this.#pending[name];
      this.held.delete(name);
    }
    this.#line.send(clearControls(names));
  }

  /**
   * What the server says.
   * @param {import("./protocol.js").Edited} edited
   */
  take(edited) {
    this.values = edited.values;
    this.locked = new Set(edited.locked);
    const held = Object.fromEntries([...this.held].map((name) => [name, this.shown[name]]));
    this.shown = { ...edited.shown, ...held };
  }

  #flush() {
    if (Object.keys(this.#pending).length) {
      this.#line.send(setControls(this.#pending, this.#settled));
    }
    this.#pending = {};
    this.#settled = false;
  }
}
