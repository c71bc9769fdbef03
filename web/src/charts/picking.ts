/** Which point is meant: by a pointer, or by an arrow key. In pixels, of the points in view. */
import { Delaunay } from "d3-delaunay";

export type Direction = "left" | "right" | "up" | "down";

/** Where the points lie: `x[i]`, `y[i]` of each row, NaN where it is out of view. */
export interface Pixels {
  readonly x: Float32Array;
  readonly y: Float32Array;
}

export class Picker {
  private delaunay: Delaunay<number> | null = null;
  private rows: Int32Array | null = null;
  private last = 0;

  constructor(private readonly pixels: Pixels) {}

  /** Do now what the first question would wait for. */
  prepare(): void {
    const rows = this.seen();
    if (rows.length > 0) this.delaunay ??= this.triangulated(rows);
  }

  /** The nearest point within so many pixels. */
  nearest(x: number, y: number, within: number): number | null {
    const rows = this.seen();
    if (rows.length === 0) return null;
    this.delaunay ??= this.triangulated(rows);
    this.last = this.delaunay.find(x, y, this.last);
    const row = rows[this.last] ?? 0;
    return Math.hypot((this.pixels.x[row] ?? NaN) - x, (this.pixels.y[row] ?? NaN) - y) <= within ? row : null;
  }

  /** The next point that way: the nearest within 45° of it, else the nearest of that half. */
  towards(from: number, direction: Direction): number | null {
    const { x, y } = this.pixels;
    const [x0, y0] = [x[from] ?? NaN, y[from] ?? NaN];
    const across = direction === "left" || direction === "right";
    const sign = direction === "right" || direction === "down" ? 1 : -1;
    let best: number | null = null;
    let bestCost = Infinity;
    for (const row of this.seen()) {
      const dx = (x[row] ?? NaN) - x0;
      const dy = (y[row] ?? NaN) - y0;
      const ahead = sign * (across ? dx : dy);
      if (ahead <= 0) continue;
      const aside = Math.abs(across ? dy : dx);
      const cost = Math.hypot(ahead, aside) + (aside > ahead ? 1e6 : 0);
      if (cost < bestCost) [best, bestCost] = [row, cost];
    }
    return best;
  }

  /** In the order of rows, which is that of x: the next one in view, so that every point is reached,
   * also those that lie on each other. */
  step(from: number, by: 1 | -1): number | null {
    const { x } = this.pixels;
    for (let row = from + by; row >= 0 && row < x.length; row += by) if (!Number.isNaN(x[row])) return row;
    return null;
  }

  first(): number | null {
    return this.seen()[0] ?? null;
  }

  lastOne(): number | null {
    return this.seen().at(-1) ?? null;
  }

  private seen(): Int32Array {
    if (!this.rows) {
      const { x, y } = this.pixels;
      const found = new Int32Array(x.length);
      let n = 0;
      for (let row = 0; row < x.length; row++) if (!Number.isNaN(x[row]) && !Number.isNaN(y[row])) found[n++] = row;
      this.rows = found.subarray(0, n);
    }
    return this.rows;
  }

  private triangulated(rows: Int32Array): Delaunay<number> {
    const flat = new Float64Array(2 * rows.length);
    rows.forEach((row, i) => {
      flat[2 * i] = this.pixels.x[row] ?? 0;
      flat[2 * i + 1] = this.pixels.y[row] ?? 0;
    });
    this.last = 0;
    return new Delaunay(flat);
  }
}
