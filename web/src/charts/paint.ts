/** What a scatter draws besides its marks: whiskers, the front, the cursor. */
import type { Frame } from "./frame";
import { colourOf, drawMark, drawWhiskers, type End, type Ends, type Marks } from "./marks";
import type { Palette } from "./palette";
import type { PlotData, Uncertainties } from "./plot";

type Place = readonly [x: number, y: number];

export interface Painting {
  readonly context: CanvasRenderingContext2D;
  readonly frame: Frame;
  readonly data: PlotData;
  readonly marks: Marks;
  readonly palette: Palette;
}

export function placeOf(marks: Marks, row: number): Place | null {
  const [x, y] = [marks.x[row] ?? NaN, marks.y[row] ?? NaN];
  return Number.isNaN(x) ? null : [x, y];
}

/** Of all points in view. Returns the rows that have any. */
export function paintWhiskers({ context, frame, data, marks, palette }: Painting, widths: Uncertainties, opacity: number): number[] {
  const painted: number[] = [];
  context.lineWidth = 1;
  context.globalAlpha = opacity;
  for (let row = 0; row < marks.x.length; row++) {
    const place = placeOf(marks, row);
    if (!place) continue;
    const ends = endsOf(frame, data, row, widths.x[row] ?? NaN, widths.y[row] ?? NaN);
    if (!ends.x && !ends.y) continue;
    context.strokeStyle = colourOf(palette, data.colours[row] ?? 0);
    drawWhiskers(context, place[0], place[1], ends, data.estimated);
    painted.push(row);
  }
  context.globalAlpha = 1;
  return painted;
}

/** The front with its whiskers, where they are not painted already. Returns the rows whose it painted. */
export function paintFront(painting: Painting, radius: number, painted: readonly number[]): number[] {
  const { context, frame, data, marks, palette } = painting;
  const more: number[] = [];
  context.strokeStyle = palette.ink;
  context.lineWidth = 1.2;
  if (data.joined) paintEdge(painting);
  for (const mark of data.front) {
    const place = placeOf(marks, mark.row);
    if (!place) continue;
    if (!painted.includes(mark.row)) {
      const ends = endsOf(frame, data, mark.row, mark.x_uncertainty ?? NaN, mark.y_uncertainty ?? NaN);
      if (ends.x || ends.y) more.push(mark.row);
      drawWhiskers(context, place[0], place[1], ends, data.estimated);
    }
    paintOne(painting, mark.row, place, Math.max(3.5, radius));
    context.strokeStyle = palette.ink;
    context.lineWidth = 1.2;
  }
  return more;
}

/** The edge of what the front is ahead of. */
function paintEdge({ context, frame, data }: Painting): void {
  context.setLineDash([5, 4]);
  context.beginPath();
  data.front.forEach((mark, i) => {
    const [x, y] = [frame.x(mark.x), frame.y(mark.y)];
    const before = data.front[i - 1];
    if (!before) context.moveTo(x, y);
    else if (data.x.better === "lower") context.lineTo(x, frame.y(before.y));
    else context.lineTo(frame.x(before.x), y);
    context.lineTo(x, y);
  });
  context.stroke();
  context.setLineDash([]);
}

export function paintCursor(painting: Painting, row: number, [xU, yU]: readonly [number, number], focused: boolean): void {
  const { context, frame, data, marks, palette } = painting;
  const place = placeOf(marks, row);
  if (!place) return;
  context.strokeStyle = palette.ink;
  context.lineWidth = 1.8;
  drawWhiskers(context, place[0], place[1], endsOf(frame, data, row, xU, yU), data.estimated);
  paintOne(painting, row, place, 5);
  paintRing(painting, place, 8.5, focused ? 2.5 : 1.5);
}

export function paintRing({ context, palette }: Painting, [x, y]: Place, radius: number, width: number): void {
  context.strokeStyle = palette.ink;
  context.lineWidth = width;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.stroke();
}

export function paintBox({ context, palette }: Painting, [from, to]: readonly [Place, Place]): void {
  const box = [from[0], from[1], to[0] - from[0], to[1] - from[1]] as const;
  context.strokeStyle = palette.accent;
  context.lineWidth = 1;
  context.strokeRect(...box);
  context.globalAlpha = 0.12;
  context.fillStyle = palette.accent;
  context.fillRect(...box);
  context.globalAlpha = 1;
}

function paintOne({ context, data, palette }: Painting, row: number, [x, y]: Place, radius: number): void {
  const colour = colourOf(palette, data.colours[row] ?? 0);
  drawMark(context, x, y, radius, colour, palette.paper, data.certain[row] === 1, data.estimated);
}

function endsOf(frame: Frame, data: PlotData, row: number, xU: number, yU: number): Ends {
  return {
    x: ends(frame.x, data.x.positive, data.xs[row] ?? NaN, xU),
    y: ends(frame.y, data.y.positive, data.ys[row] ?? NaN, yU),
  };
}

/** Not below 0 where nothing can be. What goes on beyond the axis ends at its edge. */
function ends(scale: Frame["x"], positive: boolean, value: number, u: number): [End, End] | null {
  if (Number.isNaN(u)) return null;
  const low = positive ? Math.min(value, Math.max(0, value - u)) : value - u;
  const [first, last] = scale.domain;
  const end = (to: number): End => ({ at: scale(Math.min(last, Math.max(first, to))), goes: to < first || to > last });
  return [end(low), end(value + u)];
}
