/** From figures to pixels, and where an axis is marked. */
import { ticks as roundTicks } from "d3-array";

export type Kind = "log" | "linear";
export type Span = readonly [low: number, high: number];

export interface Scale {
  (value: number): number;
  readonly kind: Kind;
  readonly domain: Span;
  invert(pixel: number): number;
  /** Of all of them at once; NaN for those that have no place. */
  all(values: Float64Array): Float32Array;
}

export function scale(kind: Kind, domain: Span, [from, to]: Span): Scale {
  const log = kind === "log";
  const [start, end] = log ? [Math.log(domain[0]), Math.log(domain[1])] : domain;
  const gain = (to - from) / (end - start);
  const place = (value: number): number =>
    from + gain * ((log ? (value > 0 ? Math.log(value) : NaN) : value) - start);
  return Object.assign(place, {
    kind,
    domain,
    invert: (pixel: number): number => {
      const found = start + (pixel - from) / gain;
      return log ? Math.exp(found) : found;
    },
    all: (values: Float64Array): Float32Array => Float32Array.from(values, place),
  });
}

/** What an axis shows of these values: all of them with some room, and with their intervals where those
 * are given, as far as they are not absurdly wide; linear ones from zero on. What a logarithm has no
 * place for is left out. The same as in the charts that the server draws (lem/charts/scales.py). */
export function spanOf(
  values: Float64Array,
  { kind, positive }: { readonly kind: Kind; readonly positive: boolean },
  widths: Float64Array | null = null,
): Span {
  const log = kind === "log";
  const reach = (each: (i: number) => Iterable<number>): Span => {
    let [low, high] = [Infinity, -Infinity];
    for (let i = 0; i < values.length; i++)
      for (const value of each(i)) {
        if (!Number.isFinite(value) || (log && value <= 0)) continue;
        if (value < low) low = value;
        if (value > high) high = value;
      }
    return [low, high];
  };
  const [low, high] = reach((i) => [values[i] ?? NaN]);
  if (low > high) return log ? [0.1, 10] : [0, 1];
  if (!widths) return log ? roomyLog(low, high) : roomyLinear(low, high);
  const least = positive && low >= 0 ? 0 : -Infinity;
  const [from, to] = reach((i) => {
    const [value, u] = [values[i] ?? NaN, widths[i] ?? NaN];
    return [Math.max(least, value - u), value + u];
  });
  // Among many points the widest interval must not press the rest together.
  if (log) {
    const far = Math.max(2, high / low);
    return roomyLog(Math.max(Math.min(low, from), low / far), Math.min(Math.max(high, to), high * far));
  }
  const far = Math.max(Math.abs(low), Math.abs(high), high - low);
  return roomyLinear(Math.max(Math.min(low, from), low - far), Math.min(Math.max(high, to), high + far));
}

function roomyLog(low: number, high: number): Span {
  const room = Math.max((high / low) ** 0.05, 1.05);
  return [low / room, high * room];
}

function roomyLinear(low: number, high: number): Span {
  const [from, to] = [Math.min(0, low), Math.max(0, high)];
  const room = 0.05 * (to - from) || 1;
  return [from < 0 ? from - room : 0, to > 0 ? to + room : room];
}

const LOG_STEPS: readonly (readonly number[])[] = [[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 5], [1, 3], [1]];

/** At most about `most` round values; of a logarithmic axis within less than half a decade, those of a
 * linear one. */
export function ticks(kind: Kind, [low, high]: Span, most: number): number[] {
  if (kind === "linear" || high / low < 3) return evenly(low, high, most);
  const from = Math.floor(Math.log10(low));
  const to = Math.ceil(Math.log10(high));
  for (const steps of LOG_STEPS) {
    const found: number[] = [];
    for (let power = from; power <= to; power++)
      for (const step of steps) {
        const value = Number(`${step}e${power}`);
        if (value >= low && value <= high) found.push(value);
      }
    if (found.length <= most || steps.length === 1) return every(found, most);
  }
  return [];
}

/** At least two: the wish for a number of ticks is taken as a hint. */
function evenly(low: number, high: number, most: number): number[] {
  for (let wish = Math.max(2, most - 1); ; wish++) {
    const found = roundTicks(low, high, wish);
    if (found.length > 1 || wish > 20) return every(found, most);
  }
}

/** Where there are too many: each second, third, … */
function every(values: number[], most: number): number[] {
  const n = Math.ceil(values.length / most);
  return values.filter((_, i) => i % n === 0);
}

/** A tick as it is written: 0.05, 2000, 1e-7. */
export function tickText(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return Number(value.toPrecision(6)).toExponential().replace("e+", "e").replace("-", "−");
  const text = String(Number(value.toPrecision(6)));
  const [whole = "", rest] = text.split(".");
  const apart = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, "\u202f") : whole;
  return (rest ? `${apart}.${rest}` : apart).replace("-", "−");
}
