/** Readings of one device, in memory that does not grow: the latest as they came, and the whole run as
 * the least and greatest of equal stretches, which become twice as long whenever they are too many. */

export const LATEST = 8192;
export const STRETCHES = 1024;
const FIRST_MS = 100;
const FIRST_ROOM = 256;
/** Where nothing was read for longer, no line is drawn. */
const GAP_MS = 2000;

/** For drawing: times in ms, and values; NaN where the line is broken off. */
export interface Points {
  readonly at: number[];
  readonly w: number[];
}

export class Samples {
  /** Of all that came. */
  count = 0;
  lastAt = -Infinity;
  private at = new Float64Array(FIRST_ROOM);
  private w = new Float32Array(FIRST_ROOM);
  private start = 0;
  private width = FIRST_MS;
  private used = 0;
  private low = new Float32Array(STRETCHES).fill(NaN);
  private high = new Float32Array(STRETCHES).fill(NaN);

  push(at: number, w: number): void {
    // Clocks are set back now and then; a line is not.
    const then = Math.max(at, this.lastAt);
    if (this.count === 0) this.start = then;
    else if (then - this.lastAt > GAP_MS) this.keep(this.lastAt + 1, NaN);
    this.keep(then, w);
    this.lastAt = then;
    this.whole(then, w);
  }

  private keep(at: number, w: number): void {
    if (this.count >= this.at.length && this.at.length < LATEST) this.grow();
    const place = this.count % this.at.length;
    this.at[place] = at;
    this.w[place] = w;
    this.count += 1;
  }

  copy(): Samples {
    const copy = new Samples();
    copy.count = this.count;
    copy.lastAt = this.lastAt;
    copy.at = this.at.slice();
    copy.w = this.w.slice();
    copy.start = this.start;
    copy.width = this.width;
    copy.used = this.used;
    copy.low = this.low.slice();
    copy.high = this.high.slice();
    return copy;
  }

  /** How many are kept as they came. */
  get kept(): number {
    return Math.min(this.count, this.at.length);
  }

  /** The time of the oldest that is kept as it came; Infinity where there is none. */
  get oldest(): number {
    return this.kept === 0 ? Infinity : this.timeOf(0);
  }

  get bytes(): number {
    return this.at.byteLength + this.w.byteLength + this.low.byteLength + this.high.byteLength;
  }

  /** What is to be drawn from `from` to `to`: at most about twice `most`, and one reading beyond each
   * side, so that a line does not end within the picture. */
  between(from: number, to: number, most: number): Points {
    if (this.count === 0) return { at: [], w: [] };
    if (from < this.oldest && this.count > this.kept) return this.coarse(from, to, most);
    const first = Math.max(0, this.find(from) - 1);
    const last = Math.min(this.kept, this.find(to) + 1);
    const points: Points = { at: [], w: [] };
    if (last - first <= 2 * most) {
      for (let i = first; i < last; i++) put(points, this.timeOf(i), this.valueOf(i));
      return points;
    }
    return leastAndGreatest(points, first, last, most, (i) => this.timeOf(i), (i) => this.valueOf(i), (i) => this.valueOf(i));
  }

  private coarse(from: number, to: number, most: number): Points {
    const place = (at: number): number => Math.floor((at - this.start) / this.width);
    const first = Math.min(this.used, Math.max(0, place(from) - 1));
    const last = Math.max(first, Math.min(this.used, place(to) + 2));
    const middle = (i: number): number => this.start + (i + 0.5) * this.width;
    return leastAndGreatest({ at: [], w: [] }, first, last, most, middle, (i) => this.low[i] ?? NaN, (i) => this.high[i] ?? NaN);
  }

  private whole(at: number, w: number): void {
    let place = Math.floor((at - this.start) / this.width);
    while (place >= STRETCHES) {
      this.halve();
      place = Math.floor((at - this.start) / this.width);
    }
    const [low, high] = [this.low[place] ?? NaN, this.high[place] ?? NaN];
    this.low[place] = Number.isNaN(low) ? w : Math.min(low, w);
    this.high[place] = Number.isNaN(high) ? w : Math.max(high, w);
    this.used = Math.max(this.used, place + 1);
  }

  private halve(): void {
    for (const [of, pick] of [[this.low, Math.min], [this.high, Math.max]] as const) {
      for (let i = 0; i < STRETCHES; i++) {
        const [a, b] = [of[2 * i] ?? NaN, of[2 * i + 1] ?? NaN];
        of[i] = Number.isNaN(a) ? b : Number.isNaN(b) ? a : pick(a, b);
      }
    }
    this.width *= 2;
    this.used = Math.ceil(this.used / 2);
  }

  private grow(): void {
    const room = Math.min(LATEST, this.at.length * 2);
    const [at, w] = [new Float64Array(room), new Float32Array(room)];
    at.set(this.at);
    w.set(this.w);
    [this.at, this.w] = [at, w];
  }

  /** Of the i-th that is kept, from the oldest. */
  private slot(i: number): number {
    return this.count <= this.at.length ? i : (this.count + i) % this.at.length;
  }

  private timeOf(i: number): number {
    return this.at[this.slot(i)] ?? NaN;
  }

  private valueOf(i: number): number {
    return this.w[this.slot(i)] ?? NaN;
  }

  /** The first that is kept with a time not before this. */
  private find(at: number): number {
    let [low, high] = [0, this.kept];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.timeOf(middle) < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function put(points: Points, at: number, w: number): void {
  points.at.push(at);
  points.w.push(w);
}

/** Of so many groups the least and the greatest, so that no peak is lost. */
function leastAndGreatest(
  into: Points,
  first: number,
  last: number,
  groups: number,
  at: (i: number) => number,
  low: (i: number) => number,
  high: (i: number) => number,
): Points {
  const step = Math.max(1, Math.ceil((last - first) / Math.max(1, groups)));
  for (let from = first; from < last; from += step) {
    let [least, greatest] = [Infinity, -Infinity];
    const to = Math.min(last, from + step);
    for (let i = from; i < to; i++) {
      least = Math.min(least, Number.isNaN(low(i)) ? Infinity : low(i));
      greatest = Math.max(greatest, Number.isNaN(high(i)) ? -Infinity : high(i));
    }
    if (least > greatest) {
      if (!Number.isNaN(into.w.at(-1) ?? NaN)) put(into, at(from), NaN);
      continue;
    }
    put(into, at(from), least);
    if (greatest !== least) put(into, at(to - 1), greatest);
  }
  return into;
}
