/** Where a plot lies on its canvas, and its axes. */
import type { Palette } from "./palette";
import { type Kind, type Scale, type Span, scale, ticks, tickText } from "./scales";

export interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}
export interface AxisWords {
  /** Name, unit, and which way is better. */
  readonly title: string;
}
export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly box: Box;
  readonly x: Scale;
  readonly y: Scale;
  readonly xTicks: readonly number[];
  readonly yTicks: readonly number[];
}

const SMALL = 13;
export const LETTERS = (font: string): string => `${SMALL}px ${font}`;

/** Room is made for the numbers beside the y axis, as wide as they are. */
export function frameOf(
  width: number,
  height: number,
  x: { kind: Kind; span: Span },
  y: { kind: Kind; span: Span },
  measure: (text: string) => number,
): Frame {
  const top = 30;
  const bottom = Math.max(top + 40, height - 46);
  const yTicks = ticks(y.kind, y.span, Math.max(3, Math.floor((bottom - top) / 42)));
  const left = Math.ceil(Math.max(20, ...yTicks.map((tick) => measure(tickText(tick)))) + 12);
  const right = Math.max(left + 40, width - 12);
  const xTicks = ticks(x.kind, x.span, Math.max(3, Math.floor((right - left) / 72)));
  return {
    width,
    height,
    box: { left, right, top, bottom },
    x: scale(x.kind, x.span, [left, right]),
    y: scale(y.kind, y.span, [bottom, top]),
    xTicks,
    yTicks,
  };
}

export function drawFrame(
  context: CanvasRenderingContext2D,
  frame: Frame,
  titles: { readonly x: string; readonly y: string },
  palette: Palette,
): void {
  const { box } = frame;
  context.font = LETTERS(palette.font);
  context.lineWidth = 1;
  context.strokeStyle = palette.grid;
  context.fillStyle = palette.muted;
  context.beginPath();
  for (const tick of frame.xTicks) {
    const at = Math.round(frame.x(tick)) + 0.5;
    context.moveTo(at, box.top);
    context.lineTo(at, box.bottom);
  }
  for (const tick of frame.yTicks) {
    const at = Math.round(frame.y(tick)) + 0.5;
    context.moveTo(box.left, at);
    context.lineTo(box.right, at);
  }
  context.stroke();
  context.textBaseline = "top";
  context.textAlign = "center";
  for (const tick of frame.xTicks) {
    const half = context.measureText(tickText(tick)).width / 2;
    context.fillText(tickText(tick), Math.min(frame.x(tick), frame.width - half - 1), box.bottom + 7);
  }
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const tick of frame.yTicks) context.fillText(tickText(tick), box.left - 7, frame.y(tick));
  context.textBaseline = "alphabetic";
  context.textAlign = "left";
  context.fillText(cut(context, titles.y, frame.width), 0, 14);
  context.textAlign = "right";
  context.fillText(cut(context, titles.x, frame.width), box.right, frame.height - 6);
}

function cut(context: CanvasRenderingContext2D, text: string, width: number): string {
  if (context.measureText(text).width <= width) return text;
  let short = text;
  while (short.length > 1 && context.measureText(`${short}…`).width > width) short = short.slice(0, -1);
  return `${short}…`;
}
