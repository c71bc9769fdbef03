/** Which point is meant: by a pointer, or by an arrow key. In pixels, of the points in view. */

export type Direction = "left" | "right" | "up" | "down";

/** Where the points lie: `x[i]`, `y[i]` of each row, NaN where it is out of view. */
export interface Pixels {
  readonly x: Float32Array;
  readonly y: Float32Array;
}

export class Picker {
  private rows: Int32Array | null = null;

  constructor(private readonly pixels: Pixels) {}

  /** The nearest point within so many pixels. All are looked at: of 20,000 that takes about a tenth
   * of a millisecond, and whatever would answer faster takes longer to be made for each drawing. */
  nearest(x: number, y: number, within: number): number | null {
    const { x: xs, y: ys } = this.pixels;
    let best: number | null = null;
    let least = within * within;
    for (let row = 0; row < xs.length; row++) {
      const dx = (xs[row] as number) - x;
      const dy = (ys[row] as number) - y;
      const distance = dx * dx + dy * dy;
      // No point, where it is NaN, is near.
      if (distance > least || Number.isNaN(distance)) continue;
      best = row;
      least = distance;
    }
    return best;
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
      const cost = Math.sqrt(ahead * ahead + aside * aside) + (aside > ahead ? 1e6 : 0);
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
}
