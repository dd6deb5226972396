// @ts-check
// The page: puts its parts together.

import { Clip } from "./clip.js";
import { Connection } from "./connection.js";
import { Controls } from "./controls.js";
import { Copy } from "./copy.js";
import { $, complain, download } from "./dom.js";
import { Domains, titleOf } from "./domains.js";
import { Faces } from "./faces.js";
import { Handles } from "./handles.js";
import { History } from "./history.js";
import { listen } from "./keys.js";
import { Light } from "./light.js";
import { showMeters } from "./meters.js";
import { Panel } from "./panel.js";
import { cancel, redo, reset, show, undo } from "./protocol.js";
import { remember } from "./recents.js";
import { Stage } from "./stage.js";
import { Start } from "./start.js";

const line = new Connection();
const controls = new Controls(line);
const copy = new Copy(line, work);
const panel = new Panel(controls, line, (attribute) => copy.choose(attribute));
const stage = new Stage(controls);
const light = new Light(controls);
const history = new History(line);
const clip = new Clip(controls, line);
const faces = new Faces(line, work);
const handles = new Handles(line);
const domains = new Domains(line);

/** @type {import("./protocol.js").Opened | null} */
let opened = null;
/** @type {"face" | "whole"} */
let extent = "face";

const start = new Start(line, work, () => opened !== null);

/**
 * Show that something slow is under way; with no words, that it is over.
 * @param {string} what
 * @param {number} [share] 0 to 1
 */
function work(what, share) {
  $("working").hidden = !what;
  $("working-what").textContent = what;
  if (share === undefined) $("working-bar").removeAttribute("value");
  else $("working-bar").value = share;
  $("working-hint").textContent = opened ? "" : "This is the only slow part; editing answers at once.";
}

/** @type {Record<string, string>} */
const STAGES = { inverting: "Finding the face", tuning: "Fitting the details" };

/**
 * @param {string} type
 * @param {(detail: any) => void} act
 */
const on = (type, act) => line.addEventListener(type, (event) => act(/** @type {CustomEvent} */ (event).detail));

on("Welcome", (/** @type {import("./protocol.js").Welcome} */ welcome) => {
  $("toasts").querySelector(".lost")?.remove();
  controls.infos = new Map(welcome.controls.map((info) => [info.name, info]));
  if (!panel.built) panel.build([...welcome.controls], [...welcome.looks]);
  $("folder").textContent = `Work is kept in ${welcome.folder}.`;
  start.build(welcome);
  domains.build(welcome.domains);
  if (welcome.fresh) {
    opened = null;
    faces.close();
    domains.on = false;
    mode("start");
    work("");
  }
});

on("Progress", ({ what, step, steps }) => {
  faces.close();
  const trial = /^trying (.+)$/.exec(what);
  work(trial ? `Trying it as a ${titleOf(trial[1]).toLowerCase()}` : (STAGES[what] ?? what), step ? step / steps : undefined);
});
on("FacesFound", (/** @type {import("./protocol.js").FacesFound} */ question) => {
  work("");
  faces.ask(question);
});
on("Stopped", () => work(""));
on("Problem", ({ sentence }) => {
  work("");
  if (!faces.says(sentence)) complain(sentence);
});
on("lost", () => work("The program does not answer; trying again"));

on("Opened", (/** @type {import("./protocol.js").Opened} */ message) => {
  const again = opened !== null && document.body.dataset.mode === "edit";
  opened = message;
  $("picture-name").textContent = message.name;
  document.title = `${message.name} - crossrig studio`;
  if (!again) {
    history.forget();
    clip.forget();
    stage.wiping = false;
    for (const note of message.notes.filter((text) => !text.startsWith("Edited in the"))) complain(note);
  }
  work("");
  faces.close();
  mode("edit");
  if (extent !== "face") line.send(show(extent));
  handles.ask();
  domains.ask();
});

on("Edited", (/** @type {import("./protocol.js").Edited} */ edited) => {
  controls.take(edited);
  panel.refresh();
  light.refresh();
  history.show(edited);
  $("undo").disabled = !edited.can_undo;
  $("redo").disabled = !edited.can_redo;
  $("reset").disabled = Object.keys(edited.values).length === 0;
  $("saved").textContent = "";
});

on("Handles", (message) => handles.show(message));
on("Meters", showMeters);
on("Saved", () => ($("saved").textContent = "Kept"));
on("ClipPreviewed", () => work(""));
on("ClipReady", () => work(""));
on("Copied", (/** @type {import("./protocol.js").Copied} */ { notes }) => {
  work("");
  handles.ask();
  for (const note of notes) complain(note);
});

// Decoded side by side, shown in the order in which they came: else a quick picture could come to lie over the refined one.
let shown = Promise.resolve();

on("frame", ({ frame, picture }) => {
  if (frame.kind === "thumb") {
    history.addThumb(frame.entry, picture);
    rememberWith(picture);
    return;
  }
  const decoded = createImageBitmap(picture);
  shown = shown.then(async () => showDecoded(frame, await decoded)).catch((error) => complain(error.message));
});

/**
 * @param {import("./protocol.js").Frame} frame
 * @param {ImageBitmap} picture
 */
function showDecoded(frame, picture) {
  if (frame.kind === "domain" || frame.kind === "blend") domains.show(frame, picture);
  else if (frame.kind === "clip") clip.show(frame.entry, picture);
  else if (frame.kind === "faces") faces.show(picture);
  else {
    stage.show(frame, picture);
    // sliders that follow a drag on the picture
    if (controls.held.size) panel.refreshHeld();
  }
}

/** @param {Blob} thumb */
function rememberWith(thumb) {
  const reader = new FileReader();
  const [session, name] = [line.session, opened?.name];
  reader.addEventListener("load", () => session && name && remember({ session, name, thumb: String(reader.result) }));
  reader.readAsDataURL(thumb);
}

/** @param {"start" | "edit"} name */
function mode(name) {
  document.body.dataset.mode = name;
  if (name === "start") {
    document.title = "crossrig studio";
    $("picture-name").textContent = "";
    start.refreshRecents();
  }
}

/** @param {string} kind */
async function save(kind) {
  if (!opened) return;
  const stem = opened.name.replace(/\.[^.]+$/, "");
  try {
    const [path, name] = { project: ["/project", `${stem}.crossrig.zip`], obj: ["/face.obj", `${stem}.obj`], glb: ["/face.glb", `${stem}.glb`] }[kind] ?? [
      `/picture.${kind}`, `${stem}-edited.${kind}`,
    ];
    const answer = await line.file(path);
    download(await answer.blob(), name);
  } catch (error) {
    complain(/** @type {Error} */ (error).message);
  }
}

const actions = {
  undo: () => line.send(undo()),
  redo: () => line.send(redo()),
  save: () => save("png"),
  compare: () => (stage.wiping = !stage.wiping),
  peek: (/** @type {boolean} */ on) => stage.peek(on),
  extent: () => {
    extent = extent === "face" ? "whole" : "face";
    $("extent").setAttribute("aria-pressed", String(extent === "whole"));
    line.send(show(extent));
  },
  domains: () => (domains.on = !domains.on),
  handles: () => (handles.on = !handles.on),
  reset: () => line.send(reset()),
  fresh: async () => {
    await line.change(null);
  },
  keyframe: () => {
    bottom("clip");
    clip.add();
  },
  stop: () => {
    for (const menu of document.querySelectorAll("[popover]:popover-open")) /** @type {any} */ (menu).hidePopover();
    if (!$("working").hidden) line.send(cancel());
    else if (stage.wiping) stage.wiping = false;
    else if (domains.on) domains.on = false;
  },
};

/** @param {"history" | "clip"} name */
function bottom(name) {
  for (const id of ["history", "clip"]) {
    $(id).hidden = id !== name;
    $(`tab-${id}`).setAttribute("aria-pressed", String(id === name));
  }
}

$("undo").addEventListener("click", actions.undo);
$("redo").addEventListener("click", actions.redo);
$("reset").addEventListener("click", actions.reset);
$("compare").addEventListener("click", actions.compare);
$("extent").addEventListener("click", actions.extent);
$("domains").addEventListener("click", actions.domains);
$("handles").addEventListener("click", actions.handles);
$("new").addEventListener("click", actions.fresh);
$("save").addEventListener("click", actions.save);
$("stop").addEventListener("click", actions.stop);
$("help").addEventListener("click", () => $("help-box").showModal());
$("tab-history").addEventListener("click", () => bottom("history"));
$("tab-clip").addEventListener("click", () => bottom("clip"));
for (const item of $("save-menu").querySelectorAll("[data-save]")) {
  item.addEventListener("click", () => {
    $("save-menu").hidePopover();
    save(item.dataset.save);
  });
}
$("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark" || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("crossrig.theme", document.documentElement.dataset.theme);
});
document.documentElement.dataset.theme = localStorage.getItem("crossrig.theme") ?? "";

listen(actions);
mode("start");
line.open();
