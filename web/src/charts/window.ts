/** The part of a plot that is looked at. Pure: what zooming makes of it. */
import type { Frame } from "./frame";
import type { Kind, Span } from "./scales";

export interface Window {
  readonly x: Span;
  readonly y: Span;
}

/** What lies between two corners in pixels; null where they are so close that it was a click. */
export function between(frame: Frame, a: readonly [number, number], b: readonly [number, number]): Window | null {
  const { box } = frame;
  const clamp = (v: number, low: number, high: number): number => Math.min(high, Math.max(low, v));
  const xs = [a[0], b[0]].map((v) => clamp(v, box.left, box.right)).sort((p, q) => p - q);
  const ys = [a[1], b[1]].map((v) => clamp(v, box.top, box.bottom)).sort((p, q) => p - q);
  const [left = 0, right = 0] = xs;
  const [top = 0, bottom = 0] = ys;
  if (right - left < 8 || bottom - top < 8) return null;
  return {
    x: [frame.x.invert(left), frame.x.invert(right)],
    y: [frame.y.invert(bottom), frame.y.invert(top)],
  };
}

/** `factor` times as near, about a place in pixels; null where that is the whole again. */
export function nearer(frame: Frame, whole: Window, factor: number, x: number, y: number): Window | null {
  const found = {
    x: around(frame.x.kind, frame.x.domain, frame.x.invert(x), factor, whole.x),
    y: around(frame.y.kind, frame.y.domain, frame.y.invert(y), factor, whole.y),
  };
  const all = (part: Span, of: Span): boolean => part[0] <= of[0] && part[1] >= of[1];
  return all(found.x, whole.x) && all(found.y, whole.y) ? null : found;
}

/** Most, by which one side of what is seen is smaller than the whole. */
const MOST = 2000;

function around(kind: Kind, [low, high]: Span, at: number, factor: number, whole: Span): Span {
  const [to, from] = kind === "log" ? [Math.log, Math.exp] : [(v: number) => v, (v: number) => v];
  const [a, b, c] = [to(low), to(high), to(at)];
  const size = to(whole[1]) - to(whole[0]);
  const by = Math.min(factor, ((b - a) * MOST) / size);
  const [start, end] = [c - (c - a) / by, c + (b - c) / by];
  if (end - start >= size) return whole;
  // What would lie outside is moved in, so that zooming out ends at the whole.
  const moved = Math.min(Math.max(start, to(whole[0])), to(whole[1]) - (end - start));
  return [from(moved), from(moved + end - start)];
}
