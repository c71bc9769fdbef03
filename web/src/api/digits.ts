/** Columns of printable digits, as `/api/v1/points` sends them (`lem/archive/queries/digits.py`). */
import type { components } from "./types";

type Quantity = components["schemas"]["Quantity"];
const BASE = 93;
const STEPS = BASE * BASE - 2;
const ZERO = STEPS;
const NONE = STEPS + 1;

/** Character → digit: printable ASCII without `"` and the backslash. */
const DIGITS = new Uint8Array(127);
for (let c = 32, digit = 0; c < 127; c++) if (c !== 34 && c !== 92) DIGITS[c] = digit++;

/** Whole numbers: of one digit each, or of two, of which all the higher ones come first. */
export function codesOf(text: string, points: number): Uint16Array {
  const codes = new Uint16Array(points);
  if (text.length === points) {
    for (let i = 0; i < points; i++) codes[i] = DIGITS[text.charCodeAt(i)] ?? 0;
  } else if (text.length === 2 * points) {
    for (let i = 0; i < points; i++)
      codes[i] = BASE * (DIGITS[text.charCodeAt(i)] ?? 0) + (DIGITS[text.charCodeAt(points + i)] ?? 0);
  } else {
    throw new RangeError(`${text.length} digits are no column of ${points}`);
  }
  return codes;
}

/** Values to draw. `bySteps`: each code is less the one before it. NaN where there is none. */
export function valuesOf(quantity: Quantity, points: number, bySteps = false): Float64Array {
  const codes = codesOf(quantity.digits, points);
  const { low, high, scale } = quantity;
  const size = scale === "log" ? Math.log(high / low) : high - low;
  const values = new Float64Array(points);
  let code = 0;
  for (let i = 0; i < points; i++) {
    code = bySteps ? (code + (codes[i] ?? 0)) % (BASE * BASE) : (codes[i] ?? 0);
    const share = code / (STEPS - 1);
    if (code === NONE) values[i] = NaN;
    else if (code === ZERO) values[i] = 0;
    else values[i] = scale === "log" ? low * Math.exp(size * share) : low + size * share;
  }
  return values;
}
