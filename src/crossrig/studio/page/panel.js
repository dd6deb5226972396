// @ts-check
// The sliders: groups that open, sections, search, presets.

import { $, icon, make } from "./dom.js";
import { applyLook, clearControls, lock, useLook } from "./protocol.js";
import { looksOfOnesOwn, keepLook, dropLook } from "./looks.js";
import { format, parse } from "./units.js";

/** @typedef {import("./protocol.js").ControlInfo} ControlInfo */

const SHUT = "M6 11h12v9H6zM9 11V8a3 3 0 0 1 6 0v3";
const OPEN = "M6 11h12v9H6zM9 11V7a3 3 0 0 1 6 0";
/** What a picture's attribute is called where it is copied from. @type {Record<string, string>} */
const OF_ANOTHER = { pose: "pose", expression: "expression", shape: "face shape", albedo: "skin", illumination: "light" };

export class Panel {
  #controls;
  #line;
  #copy;
  /** @type {Map<string, Slider>} */
  #sliders = new Map();
  /** @type {Map<string, HTMLDetailsElement>} */
  #groups = new Map();
  #linked = true;
  built = false;

  /**
   * @param {import("./controls.js").Controls} controls
   * @param {import("./connection.js").Connection} line
   * @param {(attribute: ControlInfo["attribute"]) => void} copy have an attribute copied from another picture
   */
  constructor(controls, line, copy) {
    this.#controls = controls;
    this.#line = line;
    this.#copy = copy;
    $("search").addEventListener("input", () => this.#filter($("search").value));
    $("search").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape") return;
      $("search").value = "";
      this.#filter("");
    });
  }

  /**
   * @param {ControlInfo[]} infos
   * @param {import("./protocol.js").LookInfo[]} looks
   */
  build(infos, looks) {
    this.built = true;
    this.#sliders.clear();
    this.#groups.clear();
    $("groups").replaceChildren();
    for (const group of new Set(infos.map((info) => info.group))) this.#addGroup(group, infos.filter((info) => info.group === group));
    this.#buildLooks(looks);
  }

  /** Let the sliders follow a hand that is on a picture. */
  refreshHeld() {
    for (const name of this.#controls.held) this.#sliders.get(name)?.show(this.#controls.shown[name] ?? 0);
  }

  /** Show what is set now. */
  refresh() {
    for (const [name, slider] of this.#sliders) {
      if (!this.#controls.held.has(name)) slider.show(this.#controls.shown[name] ?? 0);
      slider.mark(name in this.#controls.values);
    }
    for (const [group, box] of this.#groups) {
      const set = [...this.#sliders.values()].filter((slider) => slider.info.group === group && slider.isSet).length;
      const count = /** @type {HTMLElement} */ (box.querySelector(".count"));
      count.textContent = set ? String(set) : "";
      count.title = set ? `${set} set` : "";
      const key = box.querySelector("[data-lock]");
      if (!(key instanceof HTMLElement)) continue;
      const locked = this.#controls.locked.has(key.dataset.lock ?? "");
      box.classList.toggle("locked", locked);
      key.setAttribute("aria-pressed", String(locked));
      key.replaceChildren(icon(locked ? SHUT : OPEN));
      for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (box.querySelectorAll(".when-open"))) button.disabled = locked;
    }
  }

  /**
   * @param {string} group
   * @param {ControlInfo[]} infos
   */
  #addGroup(group, infos) {
    const letGo = make("button", { class: "quiet when-open", textContent: "Reset", title: `Let go of everything in ${group}` });
    letGo.addEventListener("click", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#line.send(clearControls(infos.map((info) => info.name).filter((name) => name in this.#controls.values)));
    });
    const head = make("summary", {}, make("span", { textContent: group }), make("span", { class: "count" }), letGo);
    const whole = infos.every((info) => info.attribute === infos[0].attribute);
    if (whole) head.append(this.#key(group, infos[0].attribute));
    const box = make("details", { class: "group", open: group === "Pose" || group === "Expression" }, head);
    if (group === "Expression") box.append(this.#linkBox());
    if (whole) {
      const copy = make("button", { class: "quiet when-open copy", textContent: `Take the ${OF_ANOTHER[infos[0].attribute]} of another picture ...` });
      copy.addEventListener("click", () => this.#copy(infos[0].attribute));
      box.append(copy);
    }
    for (const section of new Set(infos.map((info) => info.section))) {
      const rows = infos.filter((info) => info.section === section).map((info) => this.#addSlider(info).row);
      box.append(make("section", {}, make("h4", { textContent: section }), ...rows));
    }
    this.#groups.set(group, box);
    $("groups").append(box);
  }

  /**
   * The button that locks a group.
   * @param {string} group
   * @param {ControlInfo["attribute"]} attribute
   */
  #key(group, attribute) {
    const key = make("button", {
      class: "icon key", title: "Lock: presets, looks and Reset leave it alone", "aria-label": `Lock ${group}`, "aria-pressed": "false", "data-lock": attribute,
    }, icon(OPEN));
    key.addEventListener("click", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#line.send(lock(attribute, !this.#controls.locked.has(attribute)));
    });
    return key;
  }

  #linkBox() {
    const box = make("input", { type: "checkbox", checked: true, id: "linked" });
    box.addEventListener("change", () => (this.#linked = box.checked));
    return make("label", { class: "linked", for: "linked" }, box, " move left and right together");
  }

  /** @param {ControlInfo} info */
  #addSlider(info) {
    const slider = new Slider(info, (value, settled) => this.#controls.set(this.#withPartner(info.name, value), settled), () => {
      this.#controls.clear(Object.keys(this.#withPartner(info.name, 0)));
    });
    this.#sliders.set(info.name, slider);
    return slider;
  }

  /**
   * The control, and the one of the other side when both move together.
   * @param {string} name
   * @param {number} value
   * @returns {Record<string, number>}
   */
  #withPartner(name, value) {
    const other = name.endsWith("Left") ? name.replace(/Left$/, "Right") : name.replace(/Right$/, "Left");
    const both = this.#linked && other !== name && this.#controls.infos.has(other) && !name.startsWith("jaw") && !/^mouth(Left|Right)$/.test(name);
    if (both) this.#sliders.get(other)?.show(value);
    return both ? { [name]: value, [other]: value } : { [name]: value };
  }

  /** @param {import("./protocol.js").LookInfo[]} looks */
  #buildLooks(looks) {
    const kinds = [...new Set(looks.map((look) => look.group)), "Mine"];
    const tabs = kinds.map((kind) => {
      const tab = make("button", { role: "tab", id: `looks-${kind}`, "aria-controls": "looks", textContent: kind });
      tab.addEventListener("click", () => choose(kind));
      return tab;
    });
    /** @param {string} kind */
    const choose = (kind) => {
      for (const tab of tabs) {
        tab.setAttribute("aria-selected", String(tab.textContent === kind));
        tab.tabIndex = tab.textContent === kind ? 0 : -1;
      }
      $("looks").setAttribute("aria-labelledby", `looks-${kind}`);
      if (kind === "Mine") this.#showOwnLooks();
      else $("looks").replaceChildren(
        ...looks.filter((look) => look.group === kind).map((look, index) => {
          const chip = make("button", { textContent: look.title, title: index < 9 ? `${look.title} (${index + 1})` : look.title });
          chip.addEventListener("click", () => this.#line.send(applyLook(look.name)));
          return chip;
        }),
      );
    };
    $("look-tabs").replaceChildren(...tabs);
    $("look-tabs").onkeydown = (/** @type {KeyboardEvent} */ event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
      choose(next.textContent);
      next.focus();
    };
    if (kinds.length) choose(kinds[0]);
  }

  /** Looks that the person kept: they can be put on other pictures. */
  #showOwnLooks() {
    const chips = looksOfOnesOwn().map(({ title, values }) => {
      const chip = make("button", { textContent: title, title: `${title}; Delete takes it away` });
      chip.addEventListener("click", () => this.#line.send(useLook(title, this.#controls.within(values))));
      chip.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
        if (event.key !== "Delete") return;
        dropLook(title);
        this.#showOwnLooks();
      });
      return chip;
    });
    const name = make("input", { type: "text", placeholder: "Name of this look", maxLength: 40, "aria-label": "Name of this look", class: "own-look" });
    const keep = make("button", { class: "primary", textContent: "Keep" });
    const store = () => {
      if (!name.value.trim() || !Object.keys(this.#controls.values).length) return;
      keepLook(name.value.trim(), this.#controls.values);
      this.#showOwnLooks();
    };
    keep.addEventListener("click", store);
    name.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && store());
    $("looks").replaceChildren(...chips, name, keep);
  }

  /** @param {string} text */
  #filter(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    document.body.toggleAttribute("data-searching", words.length > 0);
    for (const slider of this.#sliders.values()) {
      const { title, meaning, name, group, section } = slider.info;
      const all = `${title} ${meaning} ${name} ${group} ${section}`.toLowerCase();
      slider.row.hidden = !words.every((word) => all.includes(word));
    }
    for (const section of $("groups").querySelectorAll("section")) section.hidden = !section.querySelector(".slider:not([hidden])");
    for (const box of this.#groups.values()) {
      box.hidden = !box.querySelector("section:not([hidden])");
      if (words.length && box.dataset.before === undefined) box.dataset.before = String(box.open);
      if (words.length) box.open = true;
      else if (box.dataset.before !== undefined) {
        box.open = box.dataset.before === "true";
        delete box.dataset.before;
      }
    }
  }
}

class Slider {
  isSet = false;

  /**
   * @param {ControlInfo} info
   * @param {(value: number, settled: boolean) => void} set
   * @param {() => void} clear
   */
  constructor(info, set, clear) {
    this.info = info;
    const id = `control-${info.name}`;
    this.range = make("input", {
      type: "range", id, min: info.minimum, max: info.maximum, step: (info.maximum - info.minimum) / 240, "aria-describedby": `${id}-unit`,
    });
    this.number = make("input", { type: "text", class: "number", inputMode: "decimal", "aria-label": `${info.title}, value`, spellcheck: false });
    const label = make("label", { for: id, textContent: info.title });
    if (info.weak) label.append(" ", make("span", { class: "weak", textContent: "weak", title: "Measured to have little effect" }));
    this.back = make("button", { class: "icon back", textContent: "↺", title: "Let go (double click, Delete)", "aria-label": `Let go of ${info.title}` });
    this.row = make("div", { class: "slider", title: info.meaning }, label, this.number, this.back, this.range,
      make("span", { class: "hidden", id: `${id}-unit`, textContent: info.meaning }));
    this.row.dataset.control = info.name;
    this.range.addEventListener("input", () => {
      this.show(Number(this.range.value));
      set(Number(this.range.value), false);
    });
    this.range.addEventListener("change", () => set(Number(this.range.value), true));
    this.range.addEventListener("dblclick", clear);
    label.addEventListener("dblclick", clear);
    this.back.addEventListener("click", clear);
    this.range.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Delete" || event.key === "Backspace") clear();
    });
    this.number.addEventListener("focus", () => this.number.select());
    this.number.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter") this.number.blur();
    });
    this.number.addEventListener("change", () => {
      const value = parse(this.number.value, info.unit);
      if (value === null) this.show(Number(this.range.value));
      else set(Math.min(Math.max(value, info.minimum), info.maximum), true);
    });
  }

  /** @param {number} value */
  show(value) {
    const { minimum, maximum, unit } = this.info;
    this.range.value = String(value);
    const text = format(value, unit);
    if (document.activeElement !== this.number) this.number.value = text;
    this.range.setAttribute("aria-valuetext", text);
    const share = (/** @type {number} */ at) => (100 * (Math.min(Math.max(at, minimum), maximum) - minimum)) / (maximum - minimum);
    const zero = share(0);
    this.range.style.setProperty("--from", `${Math.min(zero, share(value))}%`);
    this.range.style.setProperty("--to", `${Math.max(zero, share(value))}%`);
  }

  /** @param {boolean} isSet */
  mark(isSet) {
    this.isSet = isSet;
    this.row.classList.toggle("set", isSet);
    this.back.disabled = !isSet;
  }
}
