// @ts-check
// A clip before it is made: its frames, small, played over and over.

import { $ } from "./dom.js";

export class Preview {
  /** @type {Map<number, ImageBitmap>} */
  #frames = new Map();
  #count = 0;
  #rate = 10;
  #at = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /** @param {() => void} make have the clip made */
  constructor(make) {
    $("preview-play").addEventListener("click", () => this.#play(!this.#timer));
    $("preview-at").addEventListener("input", () => {
      this.#play(false);
      this.#show(Number($("preview-at").value));
    });
    $("preview-make").addEventListener("click", () => {
      $("preview-box").close();
      make();
    });
    $("preview-close").addEventListener("click", () => $("preview-box").close());
    $("preview-box").addEventListener("close", () => this.#play(false));
  }

  /** Another preview begins. */
  forget() {
    this.#frames.clear();
    this.#count = 0;
  }

  /**
   * @param {number} number
   * @param {ImageBitmap} picture
   */
  add(number, picture) {
    this.#frames.set(number, picture);
    this.#openIfWhole();
  }

  /** @param {import("./protocol.js").ClipPreviewed} message */
  finish({ frames, frames_per_second }) {
    this.#count = frames;
    this.#rate = frames_per_second;
    this.#openIfWhole();
  }

  #openIfWhole() {
    // the last pictures may come after the word that there are no more
    if (!this.#count || this.#frames.size < this.#count || $("preview-box").open) return;
    $("preview-at").max = String(this.#count - 1);
    this.#show(0);
    $("preview-box").showModal();
    $("preview-play").focus();
    this.#play(!matchMedia("(prefers-reduced-motion: reduce)").matches);
  }

  /** @param {boolean} on */
  #play(on) {
    clearInterval(this.#timer);
    this.#timer = on ? setInterval(() => this.#show((this.#at + 1) % this.#count), 1000 / this.#rate) : undefined;
    $("preview-play").textContent = on ? "Pause" : "Play";
  }

  /** @param {number} number */
  #show(number) {
    const picture = this.#frames.get(number);
    if (!picture) return;
    this.#at = number;
    const canvas = $("preview-canvas");
    if (canvas.width !== picture.width || canvas.height !== picture.height) [canvas.width, canvas.height] = [picture.width, picture.height];
    canvas.getContext("2d").drawImage(picture, 0, 0);
    $("preview-at").value = String(number);
    $("preview-at").setAttribute("aria-valuetext", `${(number / this.#rate).toFixed(1)} seconds`);
  }
}
