// @ts-check
// Looks that the person kept in this browser, to put them on other pictures.

const KEY = "crossrig.looks";
const MOST = 40;

/** @typedef {{title: string, values: Record<string, number>}} Look */

/** @returns {Look[]} */
export function looksOfOnesOwn() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found.filter((look) => typeof look?.title === "string" && typeof look?.values === "object") : [];
  } catch {
    return [];
  }
}

/**
 * @param {string} title one of before with this title is replaced
 * @param {Record<string, number>} values
 */
export function keepLook(title, values) {
  store([...looksOfOnesOwn().filter((look) => look.title !== title), { title, values: { ...values } }].slice(-MOST));
}

/** @param {string} title */
export function dropLook(title) {
  store(looksOfOnesOwn().filter((look) => look.title !== title));
}

/** @param {Look[]} looks */
function store(looks) {
  try {
    localStorage.setItem(KEY, JSON.stringify(looks));
  } catch {
    // a private window may keep nothing
  }
}
