// Drawn faces by real designers: node make.mjs --count 4000 --outdir FOLDER [--style micah] [--first 0] [--size 256] [--heads]
//
// The parts were drawn by designers who gave them away (CC0 or CC BY 4.0, avataaars for any use; CREDITS.txt says whose they are) and are
// put together and coloured by DiceBear. All faces of a set lie in one place of their frame and face one way. So framing.json says once for
// `crossrig train detector` and `crossrig eval detector` where they are; with --heads they are cut out there, for `crossrig adapt --aligned`.

import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";

import { createAvatar } from "@dicebear/core";
import { Resvg } from "@resvg/resvg-js";

const SKIN = ["f9d7c0", "f3c6a5", "e8b48c", "d99e73", "c6865a", "ac6a43", "8d5332", "6e3f26", "52301f", "3b2218"];
const HAIR = ["17120f", "2e1f16", "4a2f1d", "6b4526", "8f6236", "b98b4e", "d8b878", "a4482a", "8c8c8c", "d9d9d6"];
const LIPS = ["a04040", "b8605a", "8a3a34", "c47a70", "7a2f3a"];
const BACKDROP = ["b6e3f4", "c0aede", "d1d4f9", "ffd5dc", "ffdfbf", "cfe8d5", "e8e4da", "9fb4c7"];

const DYED = { hairColor: HAIR };
/** Where the head lies, as shares of the side, measured by hand: x, y of the middle between the ears, half a side of the square that our
 * camera would show of such a head; how the set is coloured; and which it is where it has another name. */
const STYLES = {
  adventurer: { framing: [0.52, 0.57, 0.34], options: { ...DYED, skinColor: SKIN } },
  avataaars: { framing: [0.5, 0.46, 0.26], options: { ...DYED, skinColor: SKIN } },
  "big-ears": { framing: [0.5, 0.72, 0.31], options: { ...DYED, skinColor: SKIN } },
  "big-smile": { framing: [0.45, 0.58, 0.38], options: { ...DYED, skinColor: SKIN } },
  croodles: { framing: [0.5, 0.58, 0.26], options: {} },
  dylan: { framing: [0.5, 0.58, 0.4], options: { ...DYED, skinColor: SKIN } },
  lorelei: { framing: [0.5, 0.55, 0.33], options: {} },
  "lorelei-coloured": {
    set: "lorelei", framing: [0.5, 0.55, 0.33],
    options: { ...DYED, skinColor: SKIN, eyebrowsColor: HAIR.slice(0, 5), mouthColor: LIPS },
  },
  micah: {
    framing: [0.47, 0.47, 0.38],
    options: {
      ...DYED, baseColor: SKIN, facialHairColor: HAIR.slice(0, 5), eyebrowsColor: HAIR.slice(0, 5), glassesProbability: 12,
      earringsProbability: 15, facialHairProbability: 15,
    },
  },
  miniavs: { framing: [0.48, 0.65, 0.34], options: { ...DYED, skinColor: SKIN } },
  notionists: { framing: [0.5, 0.48, 0.21], options: {} },
  "open-peeps": { framing: [0.52, 0.6, 0.35], options: { skinColor: SKIN } },
  personas: { framing: [0.5, 0.52, 0.3], options: { ...DYED, skinColor: SKIN } },
  "toon-head": { framing: [0.5, 0.547, 0.39], options: { ...DYED, skinColor: SKIN } },
};

function fail(sentence) {
  console.error(`make.mjs: ${sentence}`);
  process.exit(2);
}

/** What was asked for; a sentence and exit status 2 for anything that cannot be. */
function wishes() {
  const text = { type: "string" };
  let values;
  try {
    values = parseArgs({ options: { count: text, first: text, outdir: text, size: text, style: text, heads: { type: "boolean" } } }).values;
  } catch (error) {
    fail(`${error.message} Write: node make.mjs --count 4000 --outdir FOLDER [--style micah] [--size 256]`);
  }
  const count = Number(values.count ?? 4000), first = Number(values.first ?? 0), size = Number(values.size ?? 256);
  if (!values.outdir) fail("--outdir is missing: name a folder for the pictures.");
  if (!Number.isInteger(count) || count < 1 || count > 100000) fail("--count must be a whole number from 1 to 100000.");
  if (!Number.isInteger(first) || first < 0 || first > 1e9) fail("--first must be a whole number from 0.");
  if (!Number.isInteger(size) || size < 32 || size > 1024) fail("--size must be a whole number from 32 to 1024.");
  const style = values.style ?? "micah";
  if (!(style in STYLES)) fail(`--style must be one of ${Object.keys(STYLES).join(", ")}.`);
  const { framing: [x, y, half] } = STYLES[style];
  const heads = values.heads ?? false;
  if (heads && Math.min(x, y, 1 - x, 1 - y) < half) fail(`--heads: those of ${style} reach over the edge of their frame.`);
  return { count, first, size, style, heads, folder: values.outdir };
}

const { count, first, size, style, heads, folder } = wishes();
const { set = style, framing, options } = STYLES[style];
const parts = await import(`@dicebear/${set}`);
const [x, y, half] = framing;
const width = heads ? Math.round(size / (2 * half)) : size;
const [left, top] = [x, y].map((middle) => Math.round((middle - half) * width));
const view = heads ? { crop: { left, top, right: left + size, bottom: top + size } } : {};
fs.mkdirSync(folder, { recursive: true });
for (let number = first; number < first + count; number += 1) {
  const drawing = createAvatar(parts, { seed: `avatar ${number}`, backgroundColor: BACKDROP, ...options }).toString();
  const picture = new Resvg(drawing, { fitTo: { mode: "width", value: width }, ...view }).render().asPng();
  fs.writeFileSync(path.join(folder, `${style}-${String(number).padStart(6, "0")}.png`), picture);
  if ((number + 1 - first) % 500 === 0) console.error(`${number + 1 - first} of ${count}`);
}
const { creator, title, source, license } = parts.meta;
fs.writeFileSync(path.join(folder, "framing.json"), `${JSON.stringify(heads ? { x: 0.5, y: 0.5, half: 0.5 } : { x, y, half })}\n`);
fs.writeFileSync(
  path.join(folder, "CREDITS.txt"),
  `Faces put together from "${title}" by ${creator} (${source}), ${license.name} (${license.url}), remixed and recoloured by DiceBear.\n`,
);
console.log(folder);
