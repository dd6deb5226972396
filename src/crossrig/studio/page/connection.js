// @ts-check
// The line to the server: messages of protocol.js, and files.

import { hello, VERSION } from "./protocol.js";

/** @typedef {import("./protocol.js").ClientMessage} ClientMessage */
/** @typedef {import("./protocol.js").Frame} Frame */

const KEY = "crossrig.session";

export class Connection extends EventTarget {
  /** @type {WebSocket | null} */
  #socket = null;
  #wait = 250;
  /** @type {string | null} */
  session = sessionStorage.getItem(KEY);

  /** Open the line, again and again if need be. */
  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/talk`);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.addEventListener("open", () => socket.send(JSON.stringify(hello(VERSION, this.session))));
    socket.addEventListener("message", (event) => this.#hear(event.data));
    socket.addEventListener("close", () => {
      if (this.#socket !== socket) return;
      this.dispatchEvent(new Event("lost"));
      setTimeout(() => this.#socket === socket && this.open(), this.#wait);
      this.#wait = Math.min(this.#wait * 2, 5000);
    });
  }

  /**
   * Leave what is open for other work, or for something new.
   * @param {string | null} session
   * @returns {Promise<void>} done when the server has answered
   */
  change(session) {
    this.session = session;
    const old = this.#socket;
    this.#socket = null;
    old?.close();
    return new Promise((resolve) => {
      this.addEventListener("Welcome", () => resolve(), { once: true });
      this.open();
    });
  }

  /** @param {ClientMessage} message */
  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /**
   * Send or fetch a file.
   * @param {string} path
   * @param {RequestInit & {name?: string}} [options]
   * @returns {Promise<Response>} rejected with a sentence when the server refuses
   */
  async file(path, { name, ...options } = {}) {
    /** @type {Record<string, string>} */
    const headers = { "x-crossrig-session": this.session ?? "" };
    if (name) headers["x-crossrig-name"] = encodeURIComponent(name);
    const answer = await fetch(path, { ...options, headers });
    if (!answer.ok) throw new Error(await answer.text());
    return answer;
  }

  /** @param {string | ArrayBuffer} data */
  #hear(data) {
    if (typeof data !== "string") {
      const length = new DataView(data).getUint32(0);
      const frame = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
      const picture = new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" });
      this.dispatchEvent(new CustomEvent("frame", { detail: { frame, picture } }));
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "Welcome") {
      this.#wait = 250;
      this.session = message.session;
      sessionStorage.setItem(KEY, message.session);
    }
    this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
  }
}
