/** Time, energy and money of an estimate: two digits, as ranges. */
import type { Span } from "./answers";

const J_PER_WH = 3600;

/** `45 s`, `8 min`, `2 h 20 min`, `3 days`. */
export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  // Of an estimate, minutes say little beside many hours.
  if (minutes < 600) return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}

/** `4 – 12 min`, `50 min – 2 h`. */
export function durations(low: number, high: number): string {
  const [a, b] = [duration(low), duration(high)];
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
  const [a, b] = [low.toFixed(most), (Math.ceil(high * 10 ** most - 1e-9) / 10 ** most).toFixed(most)];
  return a === b ? `${a} ${currency}` : `${a} – ${b} ${currency}`;
}

export function span(low: number, high: number, unit: string): string {
  const [a, b] = [digits(low), digits(high)];
  return a === b ? `${a} ${unit}` : `${a} – ${b} ${unit}`;
}

function digits(value: number): string {
  if (value === 0) return "0";
  const places = Math.max(0, 1 - Math.floor(Math.log10(Math.abs(value))));
  return value >= 100 ? String(Number(value.toPrecision(2))) : value.toFixed(Math.min(6, places));
}

/** From the lowest to the highest of several. */
export function across(spans: readonly Span[]): Span | null {
  if (spans.length === 0) return null;
  return { low: Math.min(...spans.map((s) => s.low)), high: Math.max(...spans.map((s) => s.high)) };
}
