// Made from protocol.py by `python -m crossrig.studio.page_types`; do not edit.

export const VERSION = 2;

/**
 * One slider.
 * @typedef {object} ControlInfo
 * @property {string} name
 * @property {string} title
 * @property {string} group
 * @property {string} section
 * @property {number} minimum
 * @property {number} maximum
 * @property {string} unit
 * @property {string} meaning
 * @property {boolean} relative
 * @property {boolean} weak
 * @property {"pose" | "expression" | "shape" | "albedo" | "illumination"} attribute
 */

/**
 * A preset.
 * @typedef {object} LookInfo
 * @property {string} name
 * @property {string} title
 * @property {string} group
 */

/**
 * A picture to start with.
 * @typedef {object} ExampleInfo
 * @property {string} name
 * @property {string} title
 * @property {string} credit
 */

/**
 * A step of the history.
 * @typedef {object} Entry
 * @property {number} number
 * @property {string} label
 */

/**
 * How much an attribute was asked to change and how much a network that took no part in the edit sees it change.
 * @typedef {object} Meter
 * @property {string} attribute
 * @property {number} asked
 * @property {number} seen
 * @property {string} unit
 */

/**
 * A place in the picture.
 * @typedef {object} Point
 * @property {number} x
 * @property {number} y
 */

/**
 * A square in the picture, round a head that was found.
 * @typedef {object} Box
 * @property {number} left
 * @property {number} top
 * @property {number} right
 * @property {number} bottom
 */

/**
 * A place on the face that can be dragged.
 * @typedef {object} Handle
 * @property {string} name
 * @property {string} title
 * @property {number} x
 * @property {number} y
 */

/**
 * The controls at a moment of a clip; those not named are as in the picture.
 * @typedef {object} Keyframe
 * @property {number} at
 * @property {Record<string, number>} values
 */

/**
 * What the picture is that follows.
 * @typedef {object} Frame
 * @property {"result" | "before" | "model" | "thumb" | "faces" | "clip" | "domain" | "blend"} kind
 * @property {number} revision
 * @property {boolean} refined
 * @property {number} answers
 * @property {number} entry
 */

/**
 * The first message. Without a session, or with one that nobody knows any more, a new one is opened.
 * @typedef {object} Hello
 * @property {"Hello"} type
 * @property {number} version
 * @property {string | null} session
 */

/**
 * Take one of the example pictures.
 * @typedef {object} UseExample
 * @property {"UseExample"} type
 * @property {string} name
 * @property {string} domain
 */

/**
 * Take a person who does not exist, painted by a generator: the first of the domains, if it is not named.
 * @typedef {object} UseSample
 * @property {"UseSample"} type
 * @property {number} seed
 * @property {string} domain
 */

/**
 * The answer to `FacesFound`: this one of them.
 * @typedef {object} PickFace
 * @property {"PickFace"} type
 * @property {number} number
 */

/**
 * The answer to `FacesFound`: it is here. Five points: the eyes, the tip of the nose, the corners of the mouth.
 * @typedef {object} PlaceFace
 * @property {"PlaceFace"} type
 * @property {Array<Point>} points
 */

/**
 * Set controls; those set before keep their values.
 * @typedef {object} SetControls
 * @property {"SetControls"} type
 * @property {Record<string, number>} values
 * @property {boolean} settled
 */

/**
 * Let controls be what the picture says.
 * @typedef {object} ClearControls
 * @property {"ClearControls"} type
 * @property {Array<string>} names
 */

/**
 * Set what a preset sets, instead of what was set of its kind before.
 * @typedef {object} ApplyLook
 * @property {"ApplyLook"} type
 * @property {string} name
 */

/**
 * Set what a look of one's own sets; other controls keep their values.
 * @typedef {object} UseLook
 * @property {"UseLook"} type
 * @property {string} title
 * @property {Record<string, number>} values
 */

/**
 * Let presets, looks, copies and `Reset` leave an attribute alone, or no longer.
 * @typedef {object} Lock
 * @property {"Lock"} type
 * @property {"pose" | "expression" | "shape" | "albedo" | "illumination"} attribute
 * @property {boolean} on
 */

/**
 * Let all controls be what the picture says.
 * @typedef {object} Reset
 * @property {"Reset"} type
 */

/**
 * One step back.
 * @typedef {object} Undo
 * @property {"Undo"} type
 */

/**
 * One step forward again.
 * @typedef {object} Redo
 * @property {"Redo"} type
 */

/**
 * To a step of the history.
 * @typedef {object} GoTo
 * @property {"GoTo"} type
 * @property {number} number
 */

/**
 * What of the picture the page shows.
 * @typedef {object} Show
 * @property {"Show"} type
 * @property {"face" | "whole"} extent
 */

/**
 * Show the edit in every domain, and one between two; or no longer.
 * @typedef {object} ShowDomains
 * @property {"ShowDomains"} type
 * @property {boolean} on
 * @property {string} first
 * @property {string} second
 * @property {number} share
 */

/**
 * Tell where the handles are, now and after every change; or no longer.
 * @typedef {object} ShowHandles
 * @property {"ShowHandles"} type
 * @property {boolean} on
 */

/**
 * Bring a handle here, as nearly as the controls can.
 * @typedef {object} DragHandle
 * @property {"DragHandle"} type
 * @property {string} name
 * @property {number} x
 * @property {number} y
 * @property {"expression" | "shape"} what
 * @property {boolean} settled
 */

/**
 * Make a film of the controls moving from keyframe to keyframe.
 * @typedef {object} MakeClip
 * @property {"MakeClip"} type
 * @property {Array<Keyframe>} keyframes
 * @property {"linear" | "smooth"} easing
 * @property {number} frames_per_second
 * @property {"mp4" | "gif" | "png"} format
 */

/**
 * Show the frames of such a film, small and quickly drawn.
 * @typedef {object} PreviewClip
 * @property {"PreviewClip"} type
 * @property {Array<Keyframe>} keyframes
 * @property {"linear" | "smooth"} easing
 */

/**
 * Stop the slow work that is under way: taking in a picture, or making a clip. Also instead of an answer to `FacesFound`.
 * @typedef {object} Cancel
 * @property {"Cancel"} type
 */

/** @typedef {Hello | UseExample | UseSample | PickFace | PlaceFace | SetControls | ClearControls | ApplyLook | UseLook | Lock | Reset | Undo | Redo | GoTo | Show | ShowDomains | ShowHandles | DragHandle | MakeClip | PreviewClip | Cancel} ClientMessage */

/**
 * The answer to `Hello`.
 * @typedef {object} Welcome
 * @property {"Welcome"} type
 * @property {string} session
 * @property {boolean} fresh
 * @property {Array<ControlInfo>} controls
 * @property {Array<LookInfo>} looks
 * @property {Array<ExampleInfo>} examples
 * @property {Array<string>} domains
 * @property {string} folder
 */

/**
 * How slow work comes along.
 * @typedef {object} Progress
 * @property {"Progress"} type
 * @property {string} what
 * @property {number} step
 * @property {number} steps
 */

/**
 * A person must say which face, or where it is: the picture has several, or none was found. A frame shows the picture.
 * @typedef {object} FacesFound
 * @property {"FacesFound"} type
 * @property {string} sentence
 * @property {Array<Box>} faces
 */

/**
 * There is a picture now.
 * @typedef {object} Opened
 * @property {"Opened"} type
 * @property {string} name
 * @property {string} domain
 * @property {number} width
 * @property {number} height
 * @property {Array<string>} notes
 */

/**
 * The controls and the history as they are now.
 * @typedef {object} Edited
 * @property {"Edited"} type
 * @property {Record<string, number>} values
 * @property {Record<string, number>} shown
 * @property {Array<Entry>} entries
 * @property {number} position
 * @property {boolean} can_undo
 * @property {boolean} can_redo
 * @property {Array<"pose" | "expression" | "shape" | "albedo" | "illumination">} locked
 */

/**
 * Where the handles are.
 * @typedef {object} Handles
 * @property {"Handles"} type
 * @property {number} revision
 * @property {Array<Handle>} handles
 */

/**
 * What the edit did, as the judge sees it.
 * @typedef {object} Meters
 * @property {"Meters"} type
 * @property {number} revision
 * @property {Array<Meter>} rows
 */

/**
 * Everything up to this revision is on disk.
 * @typedef {object} Saved
 * @property {"Saved"} type
 * @property {number} revision
 */

/**
 * All frames of the preview are sent, or on their way.
 * @typedef {object} ClipPreviewed
 * @property {"ClipPreviewed"} type
 * @property {number} frames
 * @property {number} frames_per_second
 */

/**
 * The clip can be fetched.
 * @typedef {object} ClipReady
 * @property {"ClipReady"} type
 * @property {string} name
 * @property {number} frames
 */

/**
 * An attribute of another picture was set.
 * @typedef {object} Copied
 * @property {"Copied"} type
 * @property {"pose" | "expression" | "shape" | "albedo" | "illumination"} attribute
 * @property {Array<string>} notes
 */

/**
 * The slow work was stopped as wished.
 * @typedef {object} Stopped
 * @property {"Stopped"} type
 */

/**
 * Something could not be done; one sentence for the person.
 * @typedef {object} Problem
 * @property {"Problem"} type
 * @property {string} sentence
 */

/** @typedef {Welcome | Progress | FacesFound | Opened | Edited | Handles | Meters | Saved | ClipPreviewed | ClipReady | Copied | Stopped | Problem} ServerMessage */

/**
 * @param {number} version
 * @param {string | null} [session]
 * @returns {Hello}
 */
export function hello(version, session = null) {
  return { type: "Hello", version, session };
}

/**
 * @param {string} name
 * @param {string} [domain]
 * @returns {UseExample}
 */
export function useExample(name, domain = "auto") {
  return { type: "UseExample", name, domain };
}

/**
 * @param {number} seed
 * @param {string} [domain]
 * @returns {UseSample}
 */
export function useSample(seed, domain = "auto") {
  return { type: "UseSample", seed, domain };
}

/**
 * @param {number} number
 * @returns {PickFace}
 */
export function pickFace(number) {
  return { type: "PickFace", number };
}

/**
 * @param {Array<Point>} points
 * @returns {PlaceFace}
 */
export function placeFace(points) {
  return { type: "PlaceFace", points };
}

/**
 * @param {Record<string, number>} values
 * @param {boolean} settled
 * @returns {SetControls}
 */
export function setControls(values, settled) {
  return { type: "SetControls", values, settled };
}

/**
 * @param {Array<string>} names
 * @returns {ClearControls}
 */
export function clearControls(names) {
  return { type: "ClearControls", names };
}

/**
 * @param {string} name
 * @returns {ApplyLook}
 */
export function applyLook(name) {
  return { type: "ApplyLook", name };
}

/**
 * @param {string} title
 * @param {Record<string, number>} values
 * @returns {UseLook}
 */
export function useLook(title, values) {
  return { type: "UseLook", title, values };
}

/**
 * @param {"pose" | "expression" | "shape" | "albedo" | "illumination"} attribute
 * @param {boolean} on
 * @returns {Lock}
 */
export function lock(attribute, on) {
  return { type: "Lock", attribute, on };
}

/**
 * @returns {Reset}
 */
export function reset() {
  return { type: "Reset" };
}

/**
 * @returns {Undo}
 */
export function undo() {
  return { type: "Undo" };
}

/**
 * @returns {Redo}
 */
export function redo() {
  return { type: "Redo" };
}

/**
 * @param {number} number
 * @returns {GoTo}
 */
export function goTo(number) {
  return { type: "GoTo", number };
}

/**
 * @param {"face" | "whole"} extent
 * @returns {Show}
 */
export function show(extent) {
  return { type: "Show", extent };
}

/**
 * @param {boolean} on
 * @param {string} first
 * @param {string} second
 * @param {number} share
 * @returns {ShowDomains}
 */
export function showDomains(on, first, second, share) {
  return { type: "ShowDomains", on, first, second, share };
}

/**
 * @param {boolean} on
 * @returns {ShowHandles}
 */
export function showHandles(on) {
  return { type: "ShowHandles", on };
}

/**
 * @param {string} name
 * @param {number} x
 * @param {number} y
 * @param {"expression" | "shape"} what
 * @param {boolean} settled
 * @returns {DragHandle}
 */
export function dragHandle(name, x, y, what, settled) {
  return { type: "DragHandle", name, x, y, what, settled };
}

/**
 * @param {Array<Keyframe>} keyframes
 * @param {"linear" | "smooth"} easing
 * @param {number} frames_per_second
 * @param {"mp4" | "gif" | "png"} format
 * @returns {MakeClip}
 */
export function makeClip(keyframes, easing, frames_per_second, format) {
  return { type: "MakeClip", keyframes, easing, frames_per_second, format };
}

/**
 * @param {Array<Keyframe>} keyframes
 * @param {"linear" | "smooth"} easing
 * @returns {PreviewClip}
 */
export function previewClip(keyframes, easing) {
  return { type: "PreviewClip", keyframes, easing };
}

/**
 * @returns {Cancel}
 */
export function cancel() {
  return { type: "Cancel" };
}
