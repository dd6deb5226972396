// @ts-check
// Values as people read them.

/** @type {Record<string, {scale: number, sign: string, digits: number, signed: boolean}>} */
const UNITS = {
  degrees: { scale: 1, sign: "°", digits: 0, signed: true },
  weight: { scale: 100, sign: "%", digits: 0, signed: false },
  ratio: { scale: 100, sign: "%", digits: 0, signed: false },
  sd: { scale: 1, sign: "σ", digits: 1, signed: true },
  metres: { scale: 100, sign: "cm", digits: 1, signed: true },
  factor: { scale: 1, sign: "×", digits: 2, signed: false },
};

/** @param {string} unit */
const of = (unit) => UNITS[unit] ?? { scale: 1, sign: unit, digits: 2, signed: false };

/**
 * A value with its unit: `+25°`, `80 %`.
 * @param {number} value
 * @param {string} unit
 */
export function format(value, unit) {
  const { scale, sign, digits, signed } = of(unit);
  const number = Number((value * scale).toFixed(digits)) + 0;
  const text = number.toFixed(digits).replace("-", "\u2212");
  return `${signed && number > 0 ? "+" : ""}${text}${sign === "°" ? "" : "\u202f"}${sign}`;
}

/**
 * What a person typed as a value, or null.
 * @param {string} text
 * @param {string} unit
 */
export function parse(text, unit) {
  const match = text.replace("\u2212", "-").replace(",", ".").match(/-?\d*\.?\d+/);
  return match ? Number(match[0]) / of(unit).scale : null;
}
