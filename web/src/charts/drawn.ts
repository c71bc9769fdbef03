/** What a canvas shows, as data: charts are tested by what they drew. `window.__lem_drawn.NAME` */
import type { Kind, Span } from "./scales";

export interface DrawnAxis {
  readonly title: string;
  readonly kind: Kind;
  readonly domain: Span;
  readonly ticks: readonly number[];
}
export interface Drawn {
  readonly points: number;
  /** Marks within the part that is looked at. */
  readonly inView: number;
  readonly x: DrawnAxis;
  readonly y: DrawnAxis;
  readonly front: readonly number[];
  readonly joined: boolean;
  /** Rows whose whiskers are drawn. */
  readonly whiskers: readonly number[];
  readonly hollow: number;
  readonly estimated: boolean;
  readonly zoomed: boolean;
  readonly cursor: number | null;
  /** How often all marks were drawn, and how long that took the last time. */
  readonly redraws: number;
  readonly milliseconds: number;
  /** Where a row lies on the canvas, in CSS pixels. */
  at(row: number): readonly [number, number] | null;
  /** Axis values of a row as drawn. */
  value(row: number): readonly [number, number];
}

declare global {
  interface Window {
    __lem_drawn?: Record<string, Drawn>;
  }
}

export function tell(name: string, drawn: Drawn): void {
  window.__lem_drawn ??= {};
  window.__lem_drawn[name] = drawn;
}
