/** Points as marks: filled where there is an interval, hollow where there is none, a diamond where the
 * energy is estimated. The same as in the charts that the server draws (lem/charts/marks.py). */
import type { Palette } from "./palette";
import type { Pixels } from "./picking";
import { PixelSheet, stampOf } from "./pixels";

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
  context: CanvasRenderingContext2D,
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

/** Each kind of mark is drawn once and its pixels are copied: thousands of paths, or of images, take a
 * browser some hundred milliseconds. Rare colours come last, so that they lie on top. */
export function drawMarks(
  context: CanvasRenderingContext2D,
  marks: Marks,
  radius: number,
  palette: Palette,
  sheet: { readonly width: number; readonly height: number; readonly density: number },
): void {
  const pixels = new PixelSheet(Math.ceil(sheet.width * sheet.density), Math.ceil(sheet.height * sheet.density));
  const kinds = new Map<number, number[]>();
  for (let row = 0; row < marks.x.length; row++) {
    if (Number.isNaN(marks.x[row])) continue;
    const kind = 2 * (marks.colours[row] ?? 0) + (marks.certain[row] ?? 0);
    const rows = kinds.get(kind);
    if (rows) rows.push(row);
    else kinds.set(kind, [row]);
  }
  for (const [kind, rows] of [...kinds].sort((a, b) => b[1].length - a[1].length)) {
    const half = Math.ceil((radius + 2.5) * sheet.density);
    const colour = colourOf(palette, kind >> 1);
    const name = [colour, palette.paper, kind % 2, marks.estimated, radius, sheet.density].join(" ");
    const stamp = stampOf(name, 2 * half, (on) => {
      on.scale(sheet.density, sheet.density);
      const middle = half / sheet.density;
      drawMark(on, middle, middle, radius, colour, palette.paper, kind % 2 === 1, marks.estimated);
    });
    if (!stamp) continue;
    for (const row of rows)
      pixels.put(
        stamp,
        Math.round((marks.x[row] ?? 0) * sheet.density) - half,
        Math.round((marks.y[row] ?? 0) * sheet.density) - half,
      );
  }
  pixels.drawOn(context, sheet.width, sheet.height);
}

/** Where an interval ends, in pixels; `goes`: beyond the axis, where it is drawn as an arrow. */
export interface End {
  readonly at: number;
  readonly goes: boolean;
}
/** Of x the left and the right one, of y the lower and the upper one. Null: none. */
export interface Ends {
  readonly x: readonly [End, End] | null;
  readonly y: readonly [End, End] | null;
}
const CAP = 3;
const ARROW = 5;

export function drawWhiskers(context: CanvasRenderingContext2D, x: number, y: number, ends: Ends, dashed: boolean): void {
  for (const [interval, turned] of [[ends.x, false], [ends.y, true]] as const) {
    if (!interval) continue;
    const across = turned ? x : y;
    const at = (along: number, off: number): [number, number] => (turned ? [across + off, along] : [along, across + off]);
    context.setLineDash(dashed ? [5, 4] : []);
    context.beginPath();
    context.moveTo(...at(interval[0].at, 0));
    context.lineTo(...at(interval[1].at, 0));
    context.stroke();
    context.setLineDash([]);
    context.beginPath();
    interval.forEach((end, i) => {
      // Pixels of y count downwards.
      const way = (i === 0) === turned ? 1 : -1;
      const back = end.goes ? end.at - way * ARROW : end.at;
      context.moveTo(...at(back, -CAP));
      if (end.goes) context.lineTo(...at(end.at, 0));
      context.lineTo(...at(back, CAP));
    });
    context.stroke();
  }
}
