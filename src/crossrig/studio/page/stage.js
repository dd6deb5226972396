// @ts-check
// The pictures: before, result, 3D face; turning the head by dragging on them; the wipe.

import { $, paint } from "./dom.js";

const DEGREES_ACROSS = 100;

export class Stage {
  #controls;
  #wiping = false;
  #share = 50;

  /** @param {import("./controls.js").Controls} controls */
  constructor(controls) {
    this.#controls = controls;
    for (const id of ["model", "result"]) this.#makeTurnable($(id));
    this.#makeWipe();
  }

  /**
   * @param {import("./protocol.js").Frame} frame
   * @param {ImageBitmap} picture
   */
  show(frame, picture) {
    if (frame.kind === "before") {
      paint($("before"), picture);
      paint($("wiped"), picture);
    } else if (frame.kind === "model") paint($("model"), picture);
    else if (frame.kind === "result") {
      const result = $("result");
      // a preview has few pixels; drawn at the size of the last good picture it does not make the layout jump
      paint(result, picture, !frame.refined && result.width >= picture.width);
      result.dataset.refined = String(frame.refined);
      result.dataset.revision = String(frame.revision);
      result.dataset.answers = String(frame.answers);
    }
  }

  get wiping() {
    return this.#wiping;
  }

  set wiping(on) {
    this.#wiping = on;
    $("wiped").hidden = !on;
    $("wipe").hidden = !on;
    $("compare").setAttribute("aria-pressed", String(on));
    this.wipeTo(50);
    if (on) $("wipe").focus();
  }

  /** @param {number} share per cent of the width that shows the picture before */
  wipeTo(share) {
    this.#share = Math.min(Math.max(share, 0), 100);
    $("result-pane").style.setProperty("--wipe", String(this.#share));
    $("wipe").setAttribute("aria-valuenow", String(Math.round(this.#share)));
  }

  /** @param {boolean} on show the picture before, all of it */
  peek(on) {
    $("wiped").hidden = !(on || this.#wiping);
    $("wipe").hidden = on || !this.#wiping;
    $("result-caption").textContent = on ? "Before" : "Result";
    $("result-pane").style.setProperty("--wipe", String(on ? 100 : this.#share));
  }

  /** @param {HTMLCanvasElement} canvas */
  #makeTurnable(canvas) {
    /** @type {{x: number, y: number, yaw: number, pitch: number, roll: number, moved: boolean} | null} */
    let from = null;
    const shown = () => this.#controls.shown;
    const start = (/** @type {PointerEvent} */ event) => ({
      x: event.clientX, y: event.clientY, yaw: shown().yaw ?? 0, pitch: shown().pitch ?? 0, roll: shown().roll ?? 0, moved: false,
    });
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      from = start(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!from) return;
      const scale = DEGREES_ACROSS / canvas.clientWidth;
      const [across, down] = [(event.clientX - from.x) * scale, (event.clientY - from.y) * scale];
      if (!from.moved && Math.hypot(across, down) < 0.7) return;
      from.moved = true;
      this.#controls.set(event.shiftKey ? { roll: from.roll - across } : { yaw: from.yaw + across, pitch: from.pitch - down }, false);
    });
    const end = () => {
      if (from?.moved) {
        const held = [...this.#controls.held].filter((name) => ["yaw", "pitch", "roll"].includes(name));
        this.#controls.set(Object.fromEntries(held.map((name) => [name, shown()[name]])), true);
      }
      from = null;
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("dblclick", () => this.#controls.clear(["yaw", "pitch", "roll"]));
    canvas.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 10 : 3;
      /** @type {Record<string, Record<string, number>>} */
      const moves = {
        ArrowLeft: { yaw: -step }, ArrowRight: { yaw: step }, ArrowUp: { pitch: step }, ArrowDown: { pitch: -step },
        "[": { roll: step }, "]": { roll: -step },
      };
      if (event.key === "Delete" || event.key === "Backspace") this.#controls.clear(["yaw", "pitch", "roll"]);
      const move = moves[event.key];
      if (!move || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      const [[name, by]] = Object.entries(move);
      this.#controls.set({ [name]: (shown()[name] ?? 0) + by }, true);
    });
  }

  #makeWipe() {
    const handle = $("wipe");
    handle.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => handle.setPointerCapture(event.pointerId));
    handle.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const box = $("result").getBoundingClientRect();
      this.wipeTo((100 * (event.clientX - box.left)) / box.width);
    });
    handle.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const step = { ArrowLeft: -5, ArrowRight: 5, Home: -100, End: 100 }[event.key];
      if (!step) return;
      event.preventDefault();
      this.wipeTo(Number(handle.getAttribute("aria-valuenow")) + step);
    });
  }
}
