// @ts-check
// The keyboard.

import { $ } from "./dom.js";

/**
 * @param {{undo: () => void, redo: () => void, save: () => void, compare: () => void, peek: (on: boolean) => void, extent: () => void, handles: () => void, domains: () => void,
 *   reset: () => void, fresh: () => void, keyframe: () => void, stop: () => void}} actions
 */
export function listen(actions) {
  const editing = () => document.body.dataset.mode === "edit";
  const typing = (/** @type {EventTarget | null} */ target) =>
    target instanceof HTMLElement && (target.matches("input:not([type=range]):not([type=checkbox]), select, textarea") || target.isContentEditable);

  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey) {
      if (!editing() || event.altKey) return;
      const act = key === "z" && !typing(event.target) ? (event.shiftKey ? actions.redo : actions.undo) : { y: actions.redo, s: actions.save }[key];
      if (!act) return;
      event.preventDefault();
      act();
      return;
    }
    if (event.key === "Escape") return actions.stop();
    if (typing(event.target) || event.altKey) return;
    if (key === "?") return $("help-box").showModal();
    if (!editing()) return;
    if (key === "/") {
      event.preventDefault();
      $("search").focus();
    } else if (/^[1-9]$/.test(key)) $("looks").children[Number(key) - 1]?.click();
    else if (key === "b") event.repeat || actions.peek(true);
    else {
      const act = { c: actions.compare, f: actions.extent, l: actions.handles, d: actions.domains, r: actions.reset, n: actions.fresh, k: actions.keyframe }[key];
      if (act && !event.repeat) act();
    }
  });
  document.addEventListener("keyup", (event) => event.key.toLowerCase() === "b" && actions.peek(false));
  window.addEventListener("blur", () => actions.peek(false));
}
