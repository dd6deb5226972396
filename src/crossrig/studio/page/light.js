// @ts-check
// The light: a ball that shows where it comes from, and is dragged to move it.

import { $ } from "./dom.js";

const NAMES = ["light.azimuth", "light.elevation"];

export class Light {
  #controls;
  #canvas = /** @type {HTMLCanvasElement} */ ($("light"));

  /** @param {import("./controls.js").Controls} controls */
  constructor(controls) {
    this.#controls = controls;
    const canvas = this.#canvas;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!canvas.hasPointerCapture(event.pointerId)) return;
      this.#aim(event);
    });
    canvas.addEventListener("pointerup", (event) => {
      if (event.button === 0) this.#aim(event, true);
    });
    canvas.addEventListener("dblclick", () => controls.clear(NAMES));
    canvas.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 20 : 5;
      /** @type {Record<string, [string, number]>} */
      const moves = {
        ArrowLeft: [NAMES[0], -step], ArrowRight: [NAMES[0], step], ArrowUp: [NAMES[1], step], ArrowDown: [NAMES[1], -step],
      };
      if (event.key === "Delete" || event.key === "Backspace") controls.clear(NAMES);
      const move = moves[event.key];
      if (!move) return;
      event.preventDefault();
      controls.set({ [move[0]]: (controls.shown[move[0]] ?? 0) + move[1] }, true);
      this.refresh();
    });
  }

  /**
   * @param {PointerEvent} event
   * @param {boolean} [settled]
   */
  #aim(event, settled = false) {
    const box = this.#canvas.getBoundingClientRect();
    let x = (2 * (event.clientX - box.left)) / box.width - 1;
    let y = 1 - (2 * (event.clientY - box.top)) / box.height;
    const length = Math.hypot(x, y);
    if (length > 0.98) [x, y] = [(0.98 * x) / length, (0.98 * y) / length];
    const z = Math.sqrt(1 - x * x - y * y);
    const degrees = 180 / Math.PI;
    this.#controls.set({ [NAMES[0]]: Math.atan2(x, z) * degrees, [NAMES[1]]: Math.asin(y) * degrees }, settled);
    this.refresh();
  }

  /** Draw the ball. */
  refresh() {
    const [azimuth, elevation] = NAMES.map((name) => ((this.#controls.shown[name] ?? 0) * Math.PI) / 180);
    const warmth = this.#controls.shown["light.warmth"] ?? 0;
    const [x, y, z] = [Math.sin(azimuth) * Math.cos(elevation), Math.sin(elevation), Math.cos(azimuth) * Math.cos(elevation)];
    const context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
    const side = this.#canvas.width;
    const image = context.createImageData(side, side);
    const tint = [1 + 0.25 * Math.max(warmth, 0) - 0.2 * Math.max(-warmth, 0), 1, 1 - 0.35 * Math.max(warmth, 0) + 0.15 * Math.max(-warmth, 0)];
    const radius = side / 2 - 2;
    for (let row = 0; row < side; row += 1) {
      for (let column = 0; column < side; column += 1) {
        const [u, v] = [(column + 0.5 - side / 2) / radius, (side / 2 - row - 0.5) / radius];
        const square = u * u + v * v;
        const edge = Math.min(Math.max((1 - Math.sqrt(square)) * radius + 0.5, 0), 1);
        if (edge === 0) continue;
        const depth = Math.sqrt(Math.max(0, 1 - square));
        const lit = Math.max(0, u * x + v * y + depth * z);
        const glint = Math.pow(lit, 40);
        const at = 4 * (row * side + column);
        for (let channel = 0; channel < 3; channel += 1) image.data[at + channel] = 255 * Math.min(1, (0.16 + 0.66 * lit) * tint[channel] + 0.4 * glint);
        image.data[at + 3] = 255 * edge;
      }
    }
    context.putImageData(image, 0, 0);
    context.beginPath();
    context.arc(side / 2 + x * radius * 0.96, side / 2 - y * radius * 0.96, 7, 0, 2 * Math.PI);
    context.fillStyle = z >= 0 ? "#ffd34d" : "#ffd34d66";
    context.strokeStyle = "#0009";
    context.lineWidth = 2;
    context.fill();
    context.stroke();
  }
}
