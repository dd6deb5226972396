// @ts-check
// Clips: keyframes, presets of motion, and having the film made.

import { $, complain, download, make } from "./dom.js";
import { makeClip, previewClip } from "./protocol.js";
import { Preview } from "./preview.js";

/** @typedef {{at: number, values: Record<string, number>, thumb: string | null, label: string}} Key */

export class Clip {
  #controls;
  #line;
  /** @type {Key[]} */
  #keys = [];
  #film = new Preview(() => this.make());

  /**
   * @param {import("./controls.js").Controls} controls
   * @param {import("./connection.js").Connection} line
   */
  constructor(controls, line) {
    this.#controls = controls;
    this.#line = line;
    $("add-keyframe").addEventListener("click", () => this.add());
    $("orbit").addEventListener("click", () => this.#preset([["Left", { yaw: -30 }], ["Right", { yaw: 30 }], ["Left", { yaw: -30 }]]));
    $("mood").addEventListener("click", () => this.#preset([["Neutral", { smile: 0 }], ["Smile", { smile: 0.9 }], ["Neutral", { smile: 0 }]]));
    $("clear-keyframes").addEventListener("click", () => this.forget());
    $("make-clip").addEventListener("click", () => this.make());
    $("preview-clip").addEventListener("click", () => this.#preview());
    line.addEventListener("ClipPreviewed", (event) => this.#film.finish(/** @type {CustomEvent} */ (event).detail));
    line.addEventListener("ClipReady", (event) => this.#fetch(/** @type {CustomEvent} */ (event).detail.name));
    this.#show();
  }

  forget() {
    this.#keys = [];
    this.#show();
  }

  /** The face as it is now becomes a keyframe. */
  add() {
    const last = this.#keys.at(-1);
    const result = /** @type {HTMLCanvasElement} */ ($("result"));
    const small = make("canvas", { width: 56, height: 56 });
    small.getContext("2d").drawImage(result, 0, 0, 56, 56);
    this.#keys.push({
      at: last ? last.at + 1 : 0, values: { ...this.#controls.values }, thumb: small.toDataURL("image/jpeg", 0.8), label: `Keyframe ${this.#keys.length + 1}`,
    });
    this.#show();
  }

  /**
   * A frame of the preview.
   * @param {number} number
   * @param {ImageBitmap} picture
   */
  show(number, picture) {
    this.#film.add(number, picture);
  }

  get #keyframes() {
    return this.#keys.map(({ at, values }) => ({ at, values }));
  }

  #preview() {
    this.#film.forget();
    this.#line.send(previewClip(this.#keyframes, $("easing").value));
  }

  make() {
    this.#line.send(makeClip(this.#keyframes, $("easing").value, Number($("rate").value), $("format").value));
  }

  /** @param {Array<[string, Record<string, number>]>} moments */
  #preset(moments) {
    this.#keys = moments.map(([label, values], index) => ({ at: index * 1.5, values: { ...this.#controls.values, ...values }, thumb: null, label }));
    this.#show();
  }

  #show() {
    for (const id of ["make-clip", "preview-clip"]) $(id).disabled = this.#keys.length < 2;
    const items = this.#keys.map((key, index) => {
      const picture = key.thumb ? make("img", { src: key.thumb, alt: "", width: 56, height: 56 }) : make("span", { class: "word", textContent: key.label });
      const time = make("input", {
        type: "number", min: 0, max: 20, step: 0.1, value: key.at.toFixed(1), disabled: index === 0, "aria-label": `Second of ${key.label}`,
      });
      time.addEventListener("change", () => {
        key.at = Math.min(Math.max(Number(time.value) || 0, 0.1), 20);
        this.#keys.sort((one, other) => one.at - other.at);
        this.#show();
      });
      const remove = make("button", { class: "icon", textContent: "×", title: "Remove", "aria-label": `Remove ${key.label}` });
      remove.addEventListener("click", () => {
        this.#keys.splice(index, 1);
        if (this.#keys[0]) this.#keys[0].at = 0;
        this.#show();
      });
      return make("li", {}, picture, make("span", { class: "time" }, time, "s"), remove);
    });
    const hint = make("li", { class: "hint", textContent: "Set the face, add a keyframe, set it differently, add another - or take a ready motion." });
    $("keyframes").replaceChildren(...(items.length ? items : [hint]));
  }

  /** @param {string} name */
  async #fetch(name) {
    try {
      const answer = await this.#line.file("/clip");
      download(await answer.blob(), name);
    } catch (error) {
      complain(/** @type {Error} */ (error).message);
    }
  }
}
