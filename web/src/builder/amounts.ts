/** Time, energy and money of an estimate: two digits, as ranges whose ends are rounded outwards. */
import type { Span } from "./answers";

const J_PER_WH = 3600;
/** Beyond them it is days. */
const MOST_HOURS = 96;

type Round = (value: number) => number;

/** What is but floating point's is none. */
function rounded(value: number, round: Round): number {
  return round(Number(value.toPrecision(12)));
}

/** `45 s`, `8 min`, `2 h 20 min`, `4.6 days`. */
export function duration(seconds: number, round: Round = Math.round): string {
  const s = Math.max(round === Math.floor ? 0 : 1, rounded(seconds, round));
  if (seconds < 90 && s <= 90) return `${s} s`;
  const minutes = rounded(seconds / 60, round);
  if (minutes < 60) return `${minutes} min`;
  // Of an estimate, minutes say little beside many hours.
  if (minutes < 600) return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const hours = rounded(seconds / 3600, round);
  if (hours <= MOST_HOURS) return `${hours} h`;
  const tenths = rounded(seconds / 8640, round);
  return `${tenths < 100 && tenths % 10 !== 0 ? (tenths / 10).toFixed(1) : rounded(tenths / 10, round)} days`;
}

/** `4 – 12 min`, `50 min – 2 h`. */
export function durations(low: number, high: number): string {
  if (low === high) return duration(low);
  const [a, b] = [duration(low, Math.floor), duration(high, Math.ceil)];
  if (a === b) return a;
  const [[from, unit, ...more], [, other, ...rest]] = [a.split(" "), b.split(" ")];
  return unit === other && more.length + rest.length === 0 ? `${from} – ${b}` : `${a} – ${b}`;
}

/** Joules as the Wh or kWh that a bill has. */
export function energy({ low, high }: Span): string {
  const wh = high / J_PER_WH;
  const [unit, size] = wh >= 1000 ? (["kWh", 1000] as const) : wh >= 1 ? (["Wh", 1] as const) : (["mWh", 0.001] as const);
  return span(low / J_PER_WH / size, wh / size, unit);
}

export function power({ low, high }: Span): string {
  return span(low, high, "W");
}

export function money({ low, high }: Span, currency: string): string {
  if (high < 0.01) return `< 0.01 ${currency}`;
  const most = high < 1 ? 2 : high < 100 ? 1 : 0;
  const to = (value: number, round: Round): string => (rounded(value * 10 ** most, round) / 10 ** most).toFixed(most);
  return low === high ? `${to(low, Math.round)} ${currency}` : `${to(low, Math.floor)} – ${to(high, Math.ceil)} ${currency}`;
}

export function span(low: number, high: number, unit: string): string {
  return low === high ? `${digits(low, Math.round)} ${unit}` : `${digits(low, Math.floor)} – ${digits(high, Math.ceil)} ${unit}`;
}

const MOST_DECIMALS = 6;

function digits(value: number, round: Round): string {
  if (value === 0) return "0";
  const decimals = (of: number): number => Math.min(MOST_DECIMALS, 1 - Math.floor(Math.log10(Math.abs(of))));
  const size = 10 ** decimals(value);
  const found = rounded(value * size, round) / size;
  // What is rounded up to 10 has no digit after it.
  return found === 0 ? "0" : found.toFixed(Math.max(0, decimals(found)));
}

/** From the lowest to the highest of several. */
export function across(spans: readonly Span[]): Span | null {
  if (spans.length === 0) return null;
  return { low: Math.min(...spans.map((s) => s.low)), high: Math.max(...spans.map((s) => s.high)) };
}
