// @ts-check
// The first page: every way to bring a picture.

import { $, complain, make } from "./dom.js";
import { titleOf } from "./domains.js";
import { useExample, useSample } from "./protocol.js";
import { forget, recents } from "./recents.js";

export class Start {
  #line;
  #begin;
  #hasPicture;

  /**
   * @param {import("./connection.js").Connection} line
   * @param {(what: string) => void} begin something slow begins
   * @param {() => boolean} hasPicture
   */
  constructor(line, begin, hasPicture) {
    this.#line = line;
    this.#begin = begin;
    this.#hasPicture = hasPicture;
    $("choose").addEventListener("click", () => $("file").click());
    $("open-project").addEventListener("click", () => $("project-file").click());
    $("sample").addEventListener("click", () => this.#makeUp());
    for (const id of ["file", "project-file"]) {
      $(id).addEventListener("change", () => {
        const [file] = $(id).files;
        $(id).value = "";
        if (file) this.take(file);
      });
    }
    this.#takeDrops();
    document.addEventListener("paste", (event) => {
      const file = [...(event.clipboardData?.files ?? [])][0];
      if (file) this.take(file);
    });
    this.#makeCamera();
  }

  /** @param {import("./protocol.js").Welcome} welcome */
  build(welcome) {
    $("domain").replaceChildren(
      make("option", { value: "auto", textContent: "whatever fits best" }),
      ...welcome.domains.map((name) => make("option", { value: name, textContent: titleOf(name) })),
    );
    $("examples").replaceChildren(
      ...welcome.examples.map((example) => {
        const picture = make("img", { src: `/examples/${example.name}`, alt: "", width: 132, height: 132 });
        const button = make("button", { title: example.credit }, picture, make("span", { textContent: example.title }));
        button.addEventListener("click", () => this.#useExample(example.name));
        return make("li", {}, button);
      }),
    );
    this.refreshRecents();
  }

  refreshRecents() {
    const items = recents();
    $("recent").hidden = items.length === 0;
    $("recents").replaceChildren(
      ...items.map((item) => {
        const picture = make("img", { src: item.thumb, alt: "", width: 132, height: 132 });
        const when = new Date(item.when).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
        const button = make("button", {}, picture, make("span", { textContent: item.name }), make("small", { textContent: when }));
        button.addEventListener("click", () => this.#reopen(item.session));
        const remove = make("button", { class: "icon forget", textContent: "×", title: "Take it off this list", "aria-label": `Take ${item.name} off this list` });
        remove.addEventListener("click", () => {
          forget(item.session);
          this.refreshRecents();
        });
        return make("li", {}, button, remove);
      }),
    );
  }

  /**
   * Edit the picture, or open the project, of a file.
   * @param {File | Blob} file
   */
  async take(file) {
    const name = file instanceof File ? file.name : "camera.jpg";
    const isProject = name.endsWith(".zip");
    try {
      if (this.#hasPicture()) await this.#line.change(null);
      this.#begin(isProject ? "Opening the project" : "Sending the picture");
      const path = isProject ? "/project" : `/picture?domain=${$("domain").value}${$("ask-face").checked ? "&ask=face" : ""}`;
      await this.#line.file(path, { method: "POST", body: file, name });
    } catch (error) {
      this.#begin("");
      complain(/** @type {Error} */ (error).message);
    }
  }

  /** @param {string} name */
  async #useExample(name) {
    if (this.#hasPicture()) await this.#line.change(null);
    this.#begin("Opening the example");
    this.#line.send(useExample(name, $("domain").value));
  }

  async #makeUp() {
    if (this.#hasPicture()) await this.#line.change(null);
    this.#begin("Making somebody up");
    this.#line.send(useSample(Math.floor(Math.random() * 1_000_000), $("domain").value));
  }

  /** @param {string} session */
  async #reopen(session) {
    this.#begin("Opening your work");
    await this.#line.change(session);
    if (this.#line.session === session) return;
    this.#begin("");
    forget(session);
    this.refreshRecents();
    complain("This work is not on this computer any more.");
  }

  #takeDrops() {
    let depth = 0;
    const show = (/** @type {boolean} */ on) => ($("dropping").hidden = !on);
    document.addEventListener("dragenter", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      depth += 1;
      show(true);
    });
    document.addEventListener("dragleave", () => {
      depth = Math.max(0, depth - 1);
      if (!depth) show(false);
    });
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      depth = 0;
      show(false);
      const [file] = event.dataTransfer?.files ?? [];
      if (file) this.take(file);
    });
  }

  #makeCamera() {
    const box = $("camera-box");
    const video = $("video");
    const stop = () => {
      for (const track of video.srcObject?.getTracks() ?? []) track.stop();
      video.srcObject = null;
    };
    $("camera").addEventListener("click", async () => {
      try {
        video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: 1280, height: 960 } });
        box.showModal();
      } catch {
        complain("The camera cannot be used; allow it in the browser, or choose a picture instead.");
      }
    });
    $("camera-close").addEventListener("click", () => box.close());
    box.addEventListener("close", stop);
    $("shoot").addEventListener("click", () => {
      const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d").drawImage(video, 0, 0);
      canvas.toBlob((/** @type {Blob} */ picture) => this.take(picture), "image/jpeg", 0.95);
      box.close();
    });
  }
}
