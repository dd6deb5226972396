// Drawings without a face, for `crossrig train detector --without` and `crossrig eval detector --without`:
// node things.mjs --outdir FOLDER [--set noto] [--size 128]
//
// Food, objects, places and games of three emoji sets: Google's Noto (Apache-2.0), Microsoft's Fluent (MIT), Twitter's Twemoji (CC BY 4.0), as
// the Iconify project packs them, each on a backdrop of some colour.

import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

import { Resvg } from "@resvg/resvg-js";

const SETS = ["noto", "fluent-emoji-flat", "twemoji"];
const KINDS = ["Food & Drink", "Objects", "Travel & Places", "Activities"];
const WITH_FACES = /face|moon|sun|lantern|liberty|snowman|mask|doll|bear|moai|person|people|performing|joker|cards|globe|earth/;
const UNDRAWABLE = new Set(["package"]); // of Noto: ends resvg
const BACKDROP = ["#b6e3f4", "#ffffff", "#ffd5dc", "#1c1c22", "#cfe8d5", "#e8e4da", "#7a5c3e", "#3f5a8a"];

function fail(sentence) {
  console.error(`things.mjs: ${sentence}`);
  process.exit(2);
}

const text = { type: "string" };
let values;
try {
  values = parseArgs({ options: { outdir: text, set: text, size: text } }).values;
} catch (error) {
  fail(`${error.message} Write: node things.mjs --outdir FOLDER [--set noto] [--size 128]`);
}
const set = values.set ?? "noto", size = Number(values.size ?? 128), folder = values.outdir;
if (!folder) fail("--outdir is missing: name a folder for the pictures.");
if (!SETS.includes(set)) fail(`--set must be one of ${SETS.join(", ")}.`);
if (!Number.isInteger(size) || size < 32 || size > 1024) fail("--size must be a whole number from 32 to 1024.");

const { icons, metadata, info } = createRequire(import.meta.url)(`@iconify-json/${set}`);
const usable = (name) => icons.icons[name] && !WITH_FACES.test(name) && !UNDRAWABLE.has(name);
const names = KINDS.flatMap((kind) => metadata.categories[kind]).filter(usable);
fs.mkdirSync(folder, { recursive: true });
names.forEach((name, number) => {
  const side = icons.icons[name].width ?? icons.width ?? 16;
  const backdrop = `<rect x="${-side}" y="${-side}" width="${3 * side}" height="${3 * side}" fill="${BACKDROP[number % BACKDROP.length]}"/>`;
  const frame = `viewBox="${-0.15 * side} ${-0.15 * side} ${1.3 * side} ${1.3 * side}" width="${size}" height="${size}"`;
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" ${frame}>${backdrop}${icons.icons[name].body}</svg>`;
  fs.writeFileSync(path.join(folder, `${name}.png`), new Resvg(drawing).render().asPng());
});
const { author, license } = info;
fs.writeFileSync(path.join(folder, "CREDITS.txt"), `Drawings from ${info.name} by ${author.name} (${author.url}), ${license.title} (${license.url}).\n`);
console.log(`${folder}: ${names.length} pictures`);
