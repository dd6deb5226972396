// @ts-check
// The same edit in every domain side by side, and one between two of them.

import { $, make } from "./dom.js";
import { showDomains } from "./protocol.js";

/** @type {Record<string, string>} */
const TITLES = { human: "Photograph", toon: "Cartoon", painting: "Painting", sketch: "Pencil drawing", statue: "Statue", avatar: "Avatar" };
/** @param {string} name of a domain, which may be a person's own */
export const titleOf = (name) => TITLES[name] ?? name;

export class Domains {
  #line;
  /** @type {readonly string[]} */
  #names = [];
  #on = false;
  #asked = false;

  /** @param {import("./connection.js").Connection} line */
  constructor(line) {
    this.#line = line;
    $("blend-share").addEventListener("input", () => this.#askSoon());
    for (const id of ["blend-first", "blend-second"]) $(id).addEventListener("change", () => this.#askSoon());
  }

  /** @param {readonly string[]} names those that there are */
  build(names) {
    this.#names = names;
    $("domains").hidden = names.length < 2;
    $("domain-pictures").replaceChildren(
      ...names.map((name, index) => {
        const canvas = make("canvas", { width: 256, height: 256, id: `domain-${index}`, role: "img", "aria-label": `The edit as a ${titleOf(name).toLowerCase()}` });
        return make("figure", {}, canvas, make("figcaption", { textContent: titleOf(name) }));
      }),
    );
    for (const [id, chosen] of /** @type {Array<[string, number]>} */ ([["blend-first", 0], ["blend-second", 1]])) {
      $(id).replaceChildren(...names.map((name, index) => make("option", { value: name, textContent: titleOf(name), selected: index === chosen })));
    }
    $("blend-share").setAttribute("aria-label", "From the first domain to the second");
  }

  get on() {
    return this.#on;
  }

  set on(on) {
    this.#on = on && this.#names.length > 1;
    $("domains").setAttribute("aria-pressed", String(this.#on));
    $("domain-view").hidden = !this.#on;
    this.ask();
  }

  /** Have the server show them, or no longer. */
  ask() {
    if (this.#names.length < 2) return;
    this.#line.send(showDomains(this.#on, $("blend-first").value, $("blend-second").value, Number($("blend-share").value) / 100));
    $("blend-share").setAttribute("aria-valuetext", `${$("blend-share").value}% ${titleOf($("blend-second").value)}`);
  }

  /**
   * @param {import("./protocol.js").Frame} frame
   * @param {ImageBitmap} picture
   */
  show(frame, picture) {
    const canvas = $(frame.kind === "blend" ? "blend-picture" : `domain-${frame.entry}`);
    [canvas.width, canvas.height] = [picture.width, picture.height];
    canvas.getContext("2d").drawImage(picture, 0, 0);
    canvas.dataset.revision = String(frame.revision);
  }

  /** Many places of the slider within one picture of the screen become one message. */
  #askSoon() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.ask();
    });
  }
}
