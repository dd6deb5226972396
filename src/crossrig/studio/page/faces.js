// @ts-check
// Which face is meant: one of several, or one that the person places by hand.

import { $, make } from "./dom.js";
import { Knob } from "./knob.js";
import { cancel, pickFace, placeFace } from "./protocol.js";

/** @typedef {import("./protocol.js").Box} Box */

/** Names of the five points, and where they wait to be moved. @type {Array<[string, number, number]>} */
const POINTS = [
  ["Eye on the left", 0.43, 0.42], ["Eye on the right", 0.57, 0.42], ["Tip of the nose", 0.5, 0.52], ["Corner of the mouth on the left", 0.45, 0.6],
  ["Corner of the mouth on the right", 0.55, 0.6],
];
const CROP = 72;

export class Faces {
  #line;
  #begin;
  /** @type {Box[]} */
  #boxes = [];
  #chosen = 0;
  /** @type {ImageBitmap | null} */
  #picture = null;
  #knobs = POINTS.map(([label]) => new Knob(label, () => {}));
  #placing = false;

  /**
   * @param {import("./connection.js").Connection} line
   * @param {(what: string) => void} begin something slow begins
   */
  constructor(line, begin) {
    this.#line = line;
    this.#begin = begin;
    $("faces-take").addEventListener("click", () => this.#take());
    $("faces-place").addEventListener("click", () => this.#place(!this.#placing));
    $("faces-cancel").addEventListener("click", () => this.#refuse());
    $("faces-box").addEventListener("cancel", () => this.#refuse());
  }

  /** @param {import("./protocol.js").FacesFound} question */
  ask({ sentence, faces }) {
    this.#boxes = faces;
    this.#chosen = 0;
    this.#picture = null;
    $("faces-sentence").textContent = sentence;
    $("faces-place").hidden = faces.length === 0;
    $("faces-title").textContent = faces.length ? "Which face?" : "Where is the face?";
    for (const [index, [, x, y]] of POINTS.entries()) this.#knobs[index].place(x, y);
    this.#place(faces.length === 0);
    if (!$("faces-box").open) $("faces-box").showModal();
    $("faces-take").focus();
  }

  /** @param {ImageBitmap} picture the one that the question is about */
  show(picture) {
    this.#picture = picture;
    const canvas = $("faces-canvas");
    [canvas.width, canvas.height] = [picture.width, picture.height];
    $("faces-picture").style.setProperty("--ratio", String(picture.width / picture.height));
    canvas.getContext("2d").drawImage(picture, 0, 0);
    this.#build();
  }

  /**
   * Say something about the answer where it is given.
   * @param {string} sentence
   * @returns {boolean} whether it was asked at all
   */
  says(sentence) {
    if ($("faces-box").open) $("faces-sentence").textContent = sentence;
    return $("faces-box").open;
  }

  /** The question is answered, or is another session's. */
  close() {
    $("faces-box").close();
  }

  /** @param {boolean} on place points instead of picking a face */
  #place(on) {
    this.#placing = on;
    $("faces-place").setAttribute("aria-pressed", String(on));
    $("faces").hidden = on;
    $("faces-take").textContent = on ? "Edit the face here" : "Edit this face";
    $("faces-hint").textContent = on ? "Move the five points onto the eyes, the tip of the nose and the corners of the mouth: drag them, or Tab and arrow keys." : "";
    this.#build();
  }

  #build() {
    const layer = $("faces-layer");
    if (this.#placing) {
      layer.replaceChildren(...this.#knobs.map((knob) => knob.element));
      return;
    }
    const frames = this.#boxes.map((box, index) => {
      const frame = make("button", { class: "face-frame", type: "button", tabIndex: -1, "aria-hidden": "true" });
      for (const side of /** @type {const} */ (["left", "top", "right", "bottom"])) frame.style.setProperty(`--${side}`, String(Math.min(Math.max(box[side], 0), 1)));
      frame.addEventListener("click", () => this.#choose(index));
      return frame;
    });
    layer.replaceChildren(...frames);
    const rows = this.#boxes.map((box, index) => {
      const label = `Face ${index + 1}${index === 0 ? ", the largest" : ""}`;
      const radio = make("input", { type: "radio", name: "face", value: String(index), "aria-label": label });
      radio.addEventListener("change", () => this.#choose(index));
      return make("label", { class: "face-choice" }, radio, this.#crop(box), make("span", { textContent: label }));
    });
    $("faces").replaceChildren(...rows);
    this.#choose(this.#chosen);
  }

  /** @param {Box} box */
  #crop(box) {
    const canvas = make("canvas", { width: CROP, height: CROP, "aria-hidden": "true" });
    const picture = this.#picture;
    if (picture) {
      const [x, y] = [box.left * picture.width, box.top * picture.height];
      canvas.getContext("2d").drawImage(picture, x, y, box.right * picture.width - x, box.bottom * picture.height - y, 0, 0, CROP, CROP);
    }
    return canvas;
  }

  /** @param {number} index */
  #choose(index) {
    this.#chosen = index;
    for (const [at, frame] of [...$("faces-layer").querySelectorAll(".face-frame")].entries()) frame.classList.toggle("chosen", at === index);
    const radio = $("faces").querySelectorAll("input")[index];
    if (radio) radio.checked = true;
  }

  #take() {
    const answer = this.#placing ? placeFace(this.#knobs.map(({ x, y }) => ({ x, y }))) : pickFace(this.#chosen);
    this.#begin("Finding the face");
    this.#line.send(answer);
    // it stays open until the server has begun: points that are no face's can be moved on
  }

  #refuse() {
    this.close();
    this.#line.send(cancel());
  }
}
