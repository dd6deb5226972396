// The parts of Johan Melin's ToonHead (CC BY 4.0) as curves: node parts.mjs ../../src/crossrig/assets/toon_head.json
//
// Written are, part by part, closed outlines of cubic Béziers with what fills them, so that `crossrig synth --style avatar` can bend a head
// that was drawn from in front: turn it, open its mouth, change its build (data/avatars.py).

import fs from "node:fs";

import * as drawings from "@dicebear/toon-head";
// the package exports whole faces only
import * as components from "./node_modules/@dicebear/toon-head/lib/components/index.js";
import { parseSync } from "svgson";
import svgpath from "svgpath";

const PAINTS = { skin: "skin", hair: "hair", clothes: "clothes" };
const KAPPA = 0.5522847498;

/** Absolute outlines [[x, y], ...] of a path: a start and three points for each curve. */
function outlines(path) {
  const found = [];
  let current = null;
  const curve = (...points) => current.push(...points);
  svgpath(path).abs().unshort().unarc().iterate(([kind, ...a], index, x, y) => {
    const [ex, ey] = kind === "H" ? [a[0], y] : kind === "V" ? [x, a[0]] : a.slice(-2);
    if (kind === "M") found.push((current = [[ex, ey]]));
    else if (kind === "C") curve([a[0], a[1]], [a[2], a[3]], [ex, ey]);
    else if (kind === "Q") curve([x + (2 / 3) * (a[0] - x), y + (2 / 3) * (a[1] - y)], [ex + (2 / 3) * (a[0] - ex), ey + (2 / 3) * (a[1] - ey)], [ex, ey]);
    else if ("LHV".includes(kind)) curve([x + (ex - x) / 3, y + (ey - y) / 3], [x + (2 * (ex - x)) / 3, y + (2 * (ey - y)) / 3], [ex, ey]);
    else if (kind !== "Z") throw new Error(`a path of kind ${kind} is not understood`);
  });
  return found.filter((outline) => outline.length > 1).map((outline) => outline.map((point) => point.map((value) => Math.round(value * 10) / 10)));
}

function ellipse(cx, cy, rx, ry) {
  const [kx, ky] = [KAPPA * rx, KAPPA * ry];
  return `M${cx + rx} ${cy}C${cx + rx} ${cy + ky} ${cx + kx} ${cy + ry} ${cx} ${cy + ry}S${cx - rx} ${cy + ky} ${cx - rx} ${cy}` +
    `S${cx - kx} ${cy - ry} ${cx} ${cy - ry}S${cx + rx} ${cy - ky} ${cx + rx} ${cy}Z`;
}

function path({ name, attributes: { d, cx, cy, r, rx = r, ry = r, transform } }) {
  const drawn = name === "path" ? d : ellipse(...[cx, cy, rx, ry].map(Number));
  return transform ? svgpath(drawn).transform(transform).toString() : drawn;
}

/** The shapes of a drawing, in order: fill (a colour or what it is the colour of), opacity, whether it is outlined, what it is cut by. */
function shapes(node, inherited = {}) {
  const { name, attributes, children } = node;
  const now = { ...inherited };
  if (attributes.fill) now.fill = attributes.fill;
  if (attributes.stroke) now.stroke = true;
  if (attributes.mask) now.cut = inherited.masks[attributes.mask.slice(5, -1)];
  if (["path", "circle", "ellipse"].includes(name)) {
    const { fill = null, stroke = false, cut = null } = now;
    return [{ fill, opacity: Number(attributes["fill-opacity"] ?? 1), stroke, cut, outlines: outlines(path(node)) }];
  }
  const masks = { ...inherited.masks };
  for (const child of children.filter((each) => each.name === "mask")) masks[child.attributes.id] = outlines(path(child.children[0]));
  return children.filter((each) => each.name !== "mask").flatMap((child) => shapes(child, { ...now, masks }));
}

const target = process.argv[2];
if (!target) {
  console.error("parts.mjs: name the file to write, for example ../../src/crossrig/assets/toon_head.json");
  process.exit(2);
}
const parts = {};
for (const [group, drawn] of Object.entries(components)) {
  for (const [name, draw] of Object.entries(drawn)) {
    parts[`${group}.${name}`] = shapes(parseSync(`<svg>${draw({}, PAINTS)}</svg>`));
  }
}
const { title, creator, source, license } = drawings.meta;
const credit = `Parts of "${title}" by ${creator} (${source}), ${license.name} (${license.url}), as curves.`;
fs.writeFileSync(target, `${JSON.stringify({ credit, parts })}\n`);
console.log(`${target}: ${Object.keys(parts).length} parts`);
