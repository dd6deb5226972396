// @ts-check
// How much each attribute was asked to move, and how much a network that took no part in the edit sees it move.

import { $, make } from "./dom.js";

/** @type {Record<string, [string, string, number]>} attribute -> title, unit, what fills the bar */
const TITLES = {
  pose: ["Pose", "°", 40],
  expression: ["Expression", "mm", 3],
  shape: ["Face shape", "mm", 4],
  albedo: ["Skin", "levels", 40],
  illumination: ["Light", "%", 80],
  identity: ["Identity", "%", 100],
};

/** @param {import("./protocol.js").Meters} meters */
export function showMeters({ rows }) {
  $("meters").replaceChildren(
    ...rows.map(({ attribute, asked, seen }) => {
      const [title, unit, full] = TITLES[attribute] ?? [attribute, "", 1];
      const touched = asked > 1e-6;
      const word = touched ? `asked ${asked.toFixed(1)}, seen ${seen.toFixed(1)} ${unit}` : `not asked, ${seen.toFixed(1)} ${unit} seen`;
      const bar = make("div", { class: touched ? "meter" : "meter leak", role: "img", "aria-label": `${title}: ${word}`, title: word });
      bar.style.setProperty("--seen", String(Math.min(1, seen / full)));
      bar.style.setProperty("--asked", String(Math.min(1, asked / full)));
      bar.toggleAttribute("data-asked", touched);
      return make("div", { class: "meter-row" }, make("span", { textContent: title }), bar,
        make("span", { class: "figure", textContent: `${seen.toFixed(1)} ${unit}`, title: word }));
    }),
    make("p", { class: "hint", textContent: "Bar: the change that an independent network sees. Mark: the change asked for. Grey: not asked for." }),
  );
}
