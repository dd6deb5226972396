// @ts-check
// Which work there is: this browser remembers the secrets of the sessions, the server keeps what is in them.

const KEY = "crossrig.recents";
const MOST = 12;

/** @typedef {{session: string, name: string, thumb: string, when: number}} Recent */

/** @returns {Recent[]} the latest first */
export function recents() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found.filter((item) => typeof item?.session === "string" && typeof item?.thumb === "string") : [];
  } catch {
    return [];
  }
}

/** @param {Omit<Recent, "when">} work */
export function remember(work) {
  const others = recents().filter((item) => item.session !== work.session);
  store([{ ...work, when: Date.now() }, ...others].slice(0, MOST));
}

/** @param {string} session */
export function forget(session) {
  store(recents().filter((item) => item.session !== session));
}

/** @param {Recent[]} items */
function store(items) {
  try {
    localStorage.setItem(KEY, JSON.stringify(items));
  } catch {
    // private windows may keep nothing; the work itself is safe with the server
  }
}
