/** Points as marks: filled where there is an interval, hollow where there is none, a diamond where the
 * energy is estimated. The same as in the charts that the server draws (lem/charts/marks.py). */
import type { Palette } from "./palette";
import type { Pixels } from "./picking";

export interface Marks extends Pixels {
  /** Of each row the place in the palette: 0 grey, 1 to 7. */
  readonly colours: Uint8Array;
  readonly certain: Uint8Array;
  readonly estimated: boolean;
}

/** Smaller where there are more. */
export function radiusFor(points: number): number {
  if (points <= 60) return 4.5;
  return points <= 3000 ? 3 : 2;
}

export function colourOf(palette: Palette, colour: number): string {
  return palette.series[colour] ?? palette.series[0] ?? palette.muted;
}

export function drawMark(
  context: CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D,
  x: number,
  y: number,
  radius: number,
  colour: string,
  paper: string,
  filled: boolean,
  estimated: boolean,
): void {
  context.beginPath();
  if (estimated) {
    const r = radius + 1.2;
    context.moveTo(x, y - r);
    context.lineTo(x + r, y);
    context.lineTo(x, y + r);
    context.lineTo(x - r, y);
    context.closePath();
  } else {
    context.arc(x, y, radius, 0, 2 * Math.PI);
  }
  if (filled && !estimated) {
    context.fillStyle = colour;
    context.fill();
    context.strokeStyle = paper;
    context.lineWidth = radius > 2 ? 0.8 : 0.4;
  } else {
    context.fillStyle = paper;
    context.fill();
    context.strokeStyle = colour;
    context.lineWidth = radius > 2 ? 1.6 : 1;
  }
  context.stroke();
}

/** Each kind of mark is drawn once and copied: thousands of paths would take too long. Rare colours
 * come last, so that they lie on top. Returns how many were drawn. */
export function drawMarks(
  context: CanvasRenderingContext2D,
  marks: Marks,
  radius: number,
  palette: Palette,
  density: number,
): number {
  const kinds = new Map<number, number[]>();
  for (let row = 0; row < marks.x.length; row++) {
    if (Number.isNaN(marks.x[row])) continue;
    const kind = 2 * (marks.colours[row] ?? 0) + (marks.certain[row] ?? 0);
    const rows = kinds.get(kind);
    if (rows) rows.push(row);
    else kinds.set(kind, [row]);
  }
  let drawn = 0;
  const half = Math.ceil(radius + 2.5);
  for (const [kind, rows] of [...kinds].sort((a, b) => b[1].length - a[1].length)) {
    const stamp = document.createElement("canvas");
    stamp.width = stamp.height = Math.ceil(2 * half * density);
    const on = stamp.getContext("2d");
    if (!on) continue;
    on.scale(density, density);
    drawMark(on, half, half, radius, colourOf(palette, kind >> 1), palette.paper, kind % 2 === 1, marks.estimated);
    for (const row of rows)
      context.drawImage(stamp, (marks.x[row] ?? 0) - half, (marks.y[row] ?? 0) - half, 2 * half, 2 * half);
    drawn += rows.length;
  }
  return drawn;
}

/** The ends of an interval in pixels: of x to the left and right, of y up and down. Null: none. */
export interface Ends {
  readonly x: readonly [number, number] | null;
  readonly y: readonly [number, number] | null;
}
const CAP = 3;

export function drawWhiskers(context: CanvasRenderingContext2D, x: number, y: number, ends: Ends, dashed: boolean): void {
  context.setLineDash(dashed ? [5, 4] : []);
  context.beginPath();
  if (ends.x) {
    const [from, to] = ends.x;
    context.moveTo(from, y);
    context.lineTo(to, y);
    for (const end of ends.x) {
      context.moveTo(end, y - CAP);
      context.lineTo(end, y + CAP);
    }
  }
  if (ends.y) {
    const [from, to] = ends.y;
    context.moveTo(x, from);
    context.lineTo(x, to);
    for (const end of ends.y) {
      context.moveTo(x - CAP, end);
      context.lineTo(x + CAP, end);
    }
  }
  context.stroke();
  context.setLineDash([]);
}
