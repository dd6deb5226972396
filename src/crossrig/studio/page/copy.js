// @ts-check
// Copying an attribute from another picture: its light, its expression ...

import { $, complain } from "./dom.js";

/** @typedef {import("./protocol.js").ControlInfo["attribute"]} Attribute */

export class Copy {
  #line;
  #begin;
  /** @type {Attribute} */
  #attribute = "illumination";

  /**
   * @param {import("./connection.js").Connection} line
   * @param {(what: string) => void} begin something slow begins
   */
  constructor(line, begin) {
    this.#line = line;
    this.#begin = begin;
    $("copy-file").addEventListener("change", () => {
      const [file] = $("copy-file").files;
      $("copy-file").value = "";
      if (file) this.#take(file);
    });
  }

  /** @param {Attribute} attribute have the person choose a picture to take it from */
  choose(attribute) {
    this.#attribute = attribute;
    $("copy-file").click();
  }

  /** @param {File} file */
  async #take(file) {
    this.#begin("Reading the picture");
    try {
      await this.#line.file(`/attribute/${this.#attribute}`, { method: "POST", body: file, name: file.name });
    } catch (error) {
      this.#begin("");
      complain(/** @type {Error} */ (error).message);
    }
  }
}
