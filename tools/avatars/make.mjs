// Drawn faces for `crossrig adapt`: node make.mjs --count 4000 --outdir FOLDER [--first 0] [--size 256]
//
// The parts were drawn by Micah Lanier (Avatar Illustration System, CC BY 4.0) and are put together and coloured by DiceBear. All face one
// way, in three-quarter view, in one frame, so `crossrig adapt --aligned` needs to find no faces; it mirrors every second one.

import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";

import { createAvatar } from "@dicebear/core";
import * as micah from "@dicebear/micah";
import { Resvg } from "@resvg/resvg-js";

const SKIN = ["f9d7c0", "f3c6a5", "e8b48c", "d99e73", "c6865a", "ac6a43", "8d5332", "6e3f26", "52301f", "3b2218"];
const HAIR = ["17120f", "2e1f16", "4a2f1d", "6b4526", "8f6236", "b98b4e", "d8b878", "a4482a", "8c8c8c", "d9d9d6"];
const BACKDROP = ["b6e3f4", "c0aede", "d1d4f9", "ffd5dc", "ffdfbf", "cfe8d5", "e8e4da", "9fb4c7"];

function fail(sentence) {
  console.error(`make.mjs: ${sentence}`);
  process.exit(2);
}

/** What was asked for; a sentence and exit status 2 for anything that cannot be. */
function wishes() {
  const text = { type: "string" };
  let values;
  try {
    values = parseArgs({ options: { count: text, first: text, outdir: text, size: text } }).values;
  } catch (error) {
    fail(`${error.message} Write: node make.mjs --count 4000 --outdir FOLDER [--size 256]`);
  }
  const count = Number(values.count ?? 4000), first = Number(values.first ?? 0), size = Number(values.size ?? 256);
  if (!values.outdir) fail("--outdir is missing: name a folder for the pictures.");
  if (!Number.isInteger(count) || count < 1 || count > 100000) fail("--count must be a whole number from 1 to 100000.");
  if (!Number.isInteger(first) || first < 0 || first > 1e9) fail("--first must be a whole number from 0.");
  if (!Number.isInteger(size) || size < 32 || size > 1024) fail("--size must be a whole number from 32 to 1024.");
  return { count, first, size, folder: values.outdir };
}

const { count, first, size, folder } = wishes();
fs.mkdirSync(folder, { recursive: true });
for (let number = first; number < first + count; number += 1) {
  const drawing = createAvatar(micah, {
    seed: `avatar ${number}`, baseColor: SKIN, hairColor: HAIR, facialHairColor: HAIR.slice(0, 5), eyebrowsColor: HAIR.slice(0, 5),
    backgroundColor: BACKDROP, glassesProbability: 12, earringsProbability: 15, facialHairProbability: 15,
  }).toString();
  const picture = new Resvg(drawing, { fitTo: { mode: "width", value: size } }).render().asPng();
  fs.writeFileSync(path.join(folder, `avatar-${String(number).padStart(6, "0")}.png`), picture);
  if ((number + 1 - first) % 500 === 0) console.error(`${number + 1 - first} of ${count}`);
}
const { creator, title, source, license } = micah.meta;
fs.writeFileSync(
  path.join(folder, "CREDITS.txt"),
  `Faces put together from "${title}" by ${creator} (${source}), ${license.name} (${license.url}), remixed and recoloured by DiceBear.\n`,
);
console.log(folder);
