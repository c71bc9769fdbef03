/** A ratio in words and digits, as lem/analysis/words.py has them: digits follow the interval, whose ends
 * are rounded outwards. */
import { places } from "../words";

export interface Interval {
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
}
type Rounding = (x: number) => number;

/** `31 % less energy (29–33 %)`, `3.00 times as much energy (2.91–3.09 times)`. */
export function changed(found: Interval, noun: string): string {
  const { ratio, low, high } = found;
  if (ratio >= 2)
    return `${times(ratio, found, even)} times as much ${noun} (${times(low, found, Math.floor)}–${times(high, found, Math.ceil)} times)`;
  const [first, last] = high < 1 ? [high, low] : [low, high];
  const amount = `${percent(ratio, found, even)} % ${ratio < 1 ? "less" : "more"} ${noun}`;
  return `${amount} (${percent(first, found, Math.floor)}–${percent(last, found, Math.ceil)} %)`;
}

/** `0.588 (0.562–0.615)`: to two digits of half the interval's width; of a very wide one each to its own. */
export function withEnds({ ratio, low, high }: Interval): string {
  const wide = high > 100 * low;
  const decimals = Math.min(places((high - low) / 2), 5);
  const [first, last] = wide ? [Math.max(0, places(low) - 1), Math.max(0, places(high) - 1)] : [decimals, decimals];
  const said = ratio.toFixed(wide ? places(ratio) : decimals);
  return `${said} (${rounded(low, first, Math.floor)}–${rounded(high, last, Math.ceil)})`;
}

/** How far a value is from 1, in per cent. */
function percent(value: number, { low, high }: Interval, to: Rounding): string {
  const half = (100 * (high - low)) / 2;
  let decimals = Math.min(3, Math.max(0, Math.ceil(-Math.log10(Math.max(half, 1e-6)))));
  const found = Math.abs(value - 1) * 100;
  let text = rounded(found, decimals, to);
  // 99.96 % must not read as 100 % less.
  while (value < 1 && Number(text) >= 100 && decimals < 6) text = rounded(found, ++decimals, to);
  return text;
}

function times(value: number, { low, high }: Interval, to: Rounding): string {
  const half = (high - low) / 2;
  const decimals = Math.min(2, Math.max(0, 1 - Math.floor(Math.log10(Math.max(half, 1e-6)))));
  return rounded(value, decimals, to);
}

function rounded(value: number, decimals: number, to: Rounding): string {
  // A last digit that is but floating point's is none.
  return (to(Number((value * 10 ** decimals).toFixed(6))) / 10 ** decimals).toFixed(decimals);
}

/** What lies halfway goes to the even number, as Python rounds. */
function even(x: number): number {
  const down = Math.floor(x);
  if (x - down !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
}
