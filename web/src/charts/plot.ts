/** What a scatter is given to draw, and what it says back. */
import type { Kind } from "./scales";

export interface FrontPoint {
  readonly row: number;
  readonly x: number;
  readonly y: number;
  readonly x_uncertainty: number | null;
  readonly y_uncertainty: number | null;
}
/** U (k = 2) of each point in the axes' units; NaN where there is none. */
export interface Uncertainties {
  readonly x: Float64Array;
  readonly y: Float64Array;
}
export interface PlotAxis {
  readonly title: string;
  readonly kind: Kind;
  readonly better: "lower" | "higher";
  /** Whether nothing can lie below 0: intervals are cut there. */
  readonly positive: boolean;
}
export interface PlotData {
  readonly xs: Float64Array;
  readonly ys: Float64Array;
  /** 0 (grey) to 7. */
  readonly colours: Uint8Array;
  /** 1 where both figures have an interval: others are drawn hollow. */
  readonly certain: Uint8Array;
  readonly estimated: boolean;
  readonly front: readonly FrontPoint[];
  /** Whether the front is a line: of things that are all held against each other. */
  readonly joined: boolean;
  readonly x: PlotAxis;
  readonly y: PlotAxis;
}
export interface Hooks {
  uncertainties(): Promise<Uncertainties>;
  /** A point is pointed at; `kept` where that outlasts the pointer. */
  cursor(row: number | null, kept: boolean): void;
  open(row: number): void;
  add(row: number): void;
  /** After every drawing: what is seen may lie elsewhere now. */
  drawn(zoomed: boolean): void;
}
