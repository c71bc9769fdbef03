/** A scatter of any number of points: two canvases, one for all marks, drawn when they change, and one
 * above it for what is pointed at. */
import { Layer } from "./canvas";
import { tell } from "./drawn";
import { drawFrame, type Frame, frameOf, LETTERS } from "./frame";
import { type Gestures, listen } from "./gestures";
import { drawMarks, type Marks, radiusFor } from "./marks";
import { type Painting, paintBox, paintCursor, paintFront, paintRing, paintWhiskers, placeOf } from "./paint";
import { onTheme, type Palette, paletteOf } from "./palette";
import { Picker } from "./picking";
import type { Hooks, PlotData, Uncertainties } from "./plot";
import { spanOf } from "./scales";
import { between, nearer, type Window } from "./window";

/** With no more points than this in view, all have their whiskers. */
const ALL_WHISKERS = 300;
const REACH = 24;

export class ScatterPlot {
  private readonly base: Layer;
  private readonly over: Layer;
  private readonly stop: (() => void)[] = [];
  private data: PlotData | null = null;
  private window: Window | null = null;
  private frame: Frame | null = null;
  private palette: Palette;
  private marks: Marks | null = null;
  private picker: Picker | null = null;
  private whiskers: Uncertainties | null = null;
  private own: { row: number; x: number | null; y: number | null } | null = null;
  private row: number | null = null;
  private kept = false;
  private also: readonly number[] = [];
  private box: readonly [readonly [number, number], readonly [number, number]] | null = null;
  private stale = { all: false, over: false };
  private redraws = 0;
  private took = 0;
  private inView = 0;
  private hollow = 0;
  private withWhiskers: number[] = [];

  constructor(
    private readonly host: HTMLElement,
    private readonly name: string,
    private readonly hooks: Hooks,
  ) {
    this.base = new Layer(host, "plot-base");
    this.over = new Layer(host, "plot-over");
    this.base.element.setAttribute("aria-hidden", "true");
    this.over.element.tabIndex = 0;
    this.palette = paletteOf(host);
    listen(this.over.element, this.gestures());
    this.over.element.addEventListener("focus", () => this.draw(false));
    this.over.element.addEventListener("blur", () => this.draw(false));
    const size = new ResizeObserver(() => this.draw(true));
    size.observe(host);
    this.stop.push(
      () => size.disconnect(),
      onTheme(() => {
        this.palette = paletteOf(host);
        this.draw(true);
      }),
    );
  }

  /** The element that takes keys and names itself. */
  get element(): HTMLCanvasElement {
    return this.over.element;
  }

  show(data: PlotData, sameView = false): void {
    const sameRows = sameView && this.data?.xs.length === data.xs.length;
    this.data = data;
    if (!sameView) this.window = null;
    if (!sameRows) {
      this.whiskers = this.own = null;
      this.also = [];
      if (this.row !== null) this.point(null);
    }
    this.draw(true);
  }

  /** Points that are marked beside the one under the cursor. */
  mark(rows: readonly number[]): void {
    this.also = rows;
    this.draw(false);
  }

  /** Put the cursor there. */
  point(row: number | null, kept = false): void {
    if (row === this.row && kept === this.kept) return;
    this.row = row;
    this.kept = kept;
    this.hooks.cursor(row, kept);
    this.draw(false);
  }

  /** The exact half-widths of a point, once they are known. */
  widths(row: number, x: number | null, y: number | null): void {
    this.own = { row, x, y };
    this.draw(false);
  }

  zoom(factor: number): void {
    const { frame } = this;
    if (!frame) return;
    const middle = [(frame.box.left + frame.box.right) / 2, (frame.box.top + frame.box.bottom) / 2] as const;
    // About the cursor, or else what lies nearest to the middle: never into empty space.
    const nearest = this.picker?.nearest(...middle, Infinity) ?? null;
    const [x, y] = this.place(this.row) ?? this.place(nearest) ?? middle;
    this.look(nearer(frame, this.whole(), factor, x, y));
  }

  reset(): void {
    this.look(null);
  }

  get zoomed(): boolean {
    return this.window !== null;
  }

  /** Where a row lies, in CSS pixels from the plot's corner; null where it is not seen. */
  place(row: number | null): readonly [number, number] | null {
    return row === null || !this.marks ? null : placeOf(this.marks, row);
  }

  destroy(): void {
    for (const stop of this.stop) stop();
    this.base.element.remove();
    this.over.element.remove();
  }

  private look(window: Window | null): void {
    this.window = window;
    this.draw(true);
  }

  private whole(): Window {
    if (!this.data) return { x: [0, 1], y: [0, 1] };
    const { xs, ys, x, y } = this.data;
    const widths = xs.length <= ALL_WHISKERS ? this.whiskers : null;
    return { x: spanOf(xs, x, widths?.x), y: spanOf(ys, y, widths?.y) };
  }

  private gestures(): Gestures {
    const pick = (place: readonly [number, number]): number | null =>
      this.picker?.nearest(place[0], place[1], REACH) ?? null;
    const go = (row: number | null | undefined): void => {
      if (row !== null && row !== undefined) this.point(row, true);
    };
    return {
      hover: (place) => {
        if (!this.kept) this.point(place ? pick(place) : null);
      },
      click: (place) => {
        const row = pick(place);
        this.point(row, row !== null);
      },
      box: (from, to, done) => {
        this.box = done ? null : [from, to];
        const window = done && this.frame ? between(this.frame, from, to) : null;
        if (window) this.look(window);
        else this.draw(false);
      },
      wheel: ([x, y], factor) => {
        if (this.frame) this.look(nearer(this.frame, this.whole(), factor, x, y));
      },
      move: (direction) => {
        const picker = this.picker;
        go(this.place(this.row) && this.row !== null ? picker?.towards(this.row, direction) : picker?.first());
      },
      step: (by) => go(this.row === null ? this.picker?.first() : this.picker?.step(this.row, by)),
      end: (last) => go(last ? this.picker?.lastOne() : this.picker?.first()),
      zoom: (factor) => this.zoom(factor),
      reset: () => this.reset(),
      open: () => {
        if (this.row !== null) this.hooks.open(this.row);
      },
      add: () => {
        if (this.row !== null) this.hooks.add(this.row);
      },
      leave: () => this.point(null),
    };
  }

  private draw(all: boolean): void {
    const waiting = this.stale.all || this.stale.over;
    this.stale.all ||= all;
    this.stale.over = true;
    if (!waiting) requestAnimationFrame(() => this.now());
  }

  private now(): void {
    const { all } = this.stale;
    this.stale = { all: false, over: false };
    const { clientWidth: width, clientHeight: height } = this.host;
    if (!this.data || width === 0 || height === 0) return;
    const density = Math.min(3, window.devicePixelRatio || 1);
    const resized = [this.base, this.over].map((layer) => layer.resize(width, height, density)).some(Boolean);
    if (all || resized) this.drawAll(this.data);
    this.drawOver(this.data);
    this.tell(this.data);
    this.hooks.drawn(this.zoomed);
  }

  private drawAll(data: PlotData): void {
    const start = performance.now();
    const context = this.base.begin();
    context.font = LETTERS(this.palette.font);
    const seen = this.window ?? this.whole();
    const frame = frameOf(
      this.base.width,
      this.base.height,
      { kind: data.x.kind, span: seen.x },
      { kind: data.y.kind, span: seen.y },
      (text) => context.measureText(text).width,
    );
    this.frame = frame;
    this.marks = projected(data, frame);
    this.picker = new Picker(this.marks);
    this.hollow = data.certain.reduce((n, c) => n + (c ? 0 : 1), 0);
    this.inView = this.marks.x.reduce((n, x) => n + (Number.isNaN(x) ? 0 : 1), 0);
    drawFrame(context, frame, { x: data.x.title, y: data.y.title }, this.palette);
    const painting = { context, frame, data, marks: this.marks, palette: this.palette };
    const radius = radiusFor(this.inView);
    context.save();
    clip(context, frame);
    this.withWhiskers = this.paintWhiskers(painting);
    drawMarks(context, this.marks, radius, this.palette, this.base);
    this.withWhiskers.push(...paintFront(painting, radius, this.withWhiskers));
    context.restore();
    this.redraws++;
    this.took = performance.now() - start;
  }

  private paintWhiskers(painting: Painting): number[] {
    if (this.inView > ALL_WHISKERS || this.inView === 0) return [];
    if (this.whiskers) return paintWhiskers(painting, this.whiskers, this.inView > 60 ? 0.45 : 0.8);
    const { data } = painting;
    this.hooks.uncertainties().then(
      (known) => {
        if (this.data !== data) return;
        this.whiskers = known;
        this.draw(true);
      },
      () => {
        // Points stay without whiskers; the front and the cursor have theirs.
      },
    );
    return [];
  }

  private drawOver(data: PlotData): void {
    const context = this.over.begin();
    const { frame, marks, palette } = this;
    if (!frame || !marks) return;
    const painting = { context, frame, data, marks, palette };
    context.save();
    clip(context, frame);
    for (const row of this.also) {
      const place = this.place(row);
      if (place) paintRing(painting, place, 6, 1.5);
    }
    if (this.row !== null) paintCursor(painting, this.row, this.widthsOf(data, this.row), document.activeElement === this.over.element);
    context.restore();
    if (this.box) paintBox(painting, this.box);
  }

  private widthsOf(data: PlotData, row: number): readonly [number, number] {
    if (this.own?.row === row) return [this.own.x ?? NaN, this.own.y ?? NaN];
    if (this.whiskers) return [this.whiskers.x[row] ?? NaN, this.whiskers.y[row] ?? NaN];
    const mark = data.front.find((m) => m.row === row);
    return [mark?.x_uncertainty ?? NaN, mark?.y_uncertainty ?? NaN];
  }

  private tell(data: PlotData): void {
    const { frame, marks } = this;
    if (!frame || !marks) return;
    tell(this.name, {
      points: data.xs.length,
      inView: this.inView,
      x: { title: data.x.title, kind: data.x.kind, domain: frame.x.domain, ticks: frame.xTicks },
      y: { title: data.y.title, kind: data.y.kind, domain: frame.y.domain, ticks: frame.yTicks },
      front: data.front.map((m) => m.row),
      joined: data.joined,
      whiskers: [...this.withWhiskers],
      hollow: this.hollow,
      estimated: data.estimated,
      zoomed: this.zoomed,
      cursor: this.row,
      redraws: this.redraws,
      milliseconds: this.took,
      at: (row) => this.place(row),
      value: (row) => [data.xs[row] ?? NaN, data.ys[row] ?? NaN],
    });
  }
}

/** Pixels of every row; NaN where it lies outside. */
function projected(data: PlotData, { box, x: across, y: up }: Frame): Marks {
  const { xs, ys, colours, certain, estimated } = data;
  const [x, y] = [across.all(xs), up.all(ys)];
  for (let row = 0; row < x.length; row++) {
    const [px, py] = [x[row] as number, y[row] as number];
    // A pixel of grace: codes of columns are rounded, and the outermost lie on the edge.
    const inside = px >= box.left - 1 && px <= box.right + 1 && py >= box.top - 1 && py <= box.bottom + 1;
    if (!inside) x[row] = y[row] = NaN;
  }
  return { x, y, colours, certain, estimated };
}

function clip(context: CanvasRenderingContext2D, { box }: Frame): void {
  context.beginPath();
  context.rect(box.left, box.top - 9, box.right - box.left + 9, box.bottom - box.top + 9);
  context.clip();
}
