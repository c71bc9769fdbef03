/** Power over time as it comes in, with the run's phases shaded. */
import uPlot from "uplot";
import { colourOf } from "../charts/marks";
import { onTheme, type Palette, paletteOf } from "../charts/palette";
import { bands, onOneClock, type Phase } from "../charts/phases";
import { tickText } from "../charts/scales";
import type { Model } from "./model";
import { t } from "./text";
import { bandName } from "./words";

export const COLOURS = 7;
const HEIGHT = 260;
const NARROW = 560;

/** From when to when, in ms of the runner's clock. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

export class PowerChart {
  private plot: uPlot | null = null;
  private palette: Palette;
  private phases: readonly Phase[] = [];
  private windows: readonly Phase[] = [];
  private made = "";
  private last = "";
  private drawn: { readonly of: string; readonly from: number; readonly to: number } | null = null;
  private top = 1;
  private width: number;
  private readonly stops: (() => void)[] = [];

  constructor(private readonly host: HTMLElement) {
    this.palette = paletteOf(host);
    this.width = host.clientWidth || NARROW;
    const sized = new ResizeObserver(() => {
      // Asked for in each frame it would have the page laid out in each.
      this.width = host.clientWidth || NARROW;
      this.plot?.setSize({ width: this.width, height: HEIGHT });
    });
    sized.observe(host);
    this.stops.push(
      () => sized.disconnect(),
      onTheme(() => {
        this.palette = paletteOf(host);
        this.made = "";
      }),
    );
  }

  stop(): void {
    for (const stop of this.stops) stop();
    this.plot?.destroy();
    this.plot = null;
  }

  /** `now`: until when the phase that goes on is shaded. */
  draw(model: Model, { from, to }: Window, now: number): void {
    const { run, devices, samples, ended } = model;
    if (!run) return;
    // It moves by a few pixels a second: what would look the same is not drawn again.
    const step = Math.max(1, (to - from) / this.width / 2);
    const key = [run.at, run.arm, run.block, ended?.at, ...[from, to, now].map((at) => Math.floor(at / step)), devices.length].join();
    if (key === this.last && this.made) return;
    this.last = key;
    const zero = run.at;
    const shown = devices.filter((d) => samples.has(d.name));
    const series = shown.map((d) => `${d.name}\n${d.estimated}`).join("\n");
    if (!this.plot || this.made !== series) this.make(shown, series);
    const plot = this.plot as unknown as uPlot;
    this.phases = model.phases.map(({ phase, at }, i) => ({
      name: bandName(phase),
      start_s: (at - zero) / 1000,
      end_s: ((model.phases[i + 1]?.at ?? ended?.at ?? Math.max(now, at)) - zero) / 1000,
      measured: false,
    }));
    this.windows = model.windows.map((window) => ({
      name: "",
      start_s: (window.from - zero) / 1000,
      end_s: ((window.to ?? ended?.at ?? now) - zero) / 1000,
      measured: true,
    }));
    const counts = shown.map((d) => samples.get(d.name)?.count ?? 0).join();
    const of = `${run.arm}.${run.block}.${run.attempt} ${zero} ${counts} ${to - from}`;
    // While no reading comes the line stays, and only its window moves.
    const still = this.drawn?.of === of && from >= this.drawn.from && to <= this.drawn.to;
    if (!still) {
      const room = { from: from - 2000, to: to + 10_000 };
      const lines = shown.map((d) => {
        const found = samples.get(d.name)?.between(room.from, room.to, Math.max(200, this.width));
        return { t_s: (found?.at ?? []).map((at) => (at - zero) / 1000), values: (found?.w ?? []).map((w) => (Number.isNaN(w) ? null : w)) };
      });
      this.top = topOf(this.top, lines.flatMap((l) => l.values.filter((w) => w !== null)));
      plot.setData(onOneClock(lines) as uPlot.AlignedData, false);
      this.drawn = { of, ...room };
    }
    plot.batch(() => {
      plot.setScale("y", { min: 0, max: this.top });
      plot.setScale("x", { min: (from - zero) / 1000, max: (to - zero) / 1000 });
    });
  }

  private make(shown: readonly { readonly name: string; readonly estimated: boolean }[], series: string): void {
    this.plot?.destroy();
    this.made = series;
    this.drawn = null;
    const { palette, host } = this;
    const narrow = this.width < NARROW;
    const letters = `13px ${palette.font}`;
    const axis = { stroke: palette.muted, font: letters, labelFont: letters, grid: { stroke: palette.grid, width: 1 }, ticks: { show: false } };
    this.plot = new uPlot(
      {
        width: this.width,
        height: HEIGHT,
        scales: { x: { time: false, auto: false }, y: { auto: false } },
        legend: { show: false },
        cursor: { show: false },
        axes: [
          { ...axis, label: t("chart.seconds"), labelSize: 22, size: 32, values: (_, ticks) => ticks.map(tickText) },
          { ...axis, label: t("chart.unit"), labelSize: narrow ? 20 : 24, size: narrow ? 44 : 56, values: (_, ticks) => ticks.map(tickText) },
        ],
        series: [
          {},
          ...shown.map((device, i) => ({
            label: device.name,
            stroke: colourOf(palette, (i % COLOURS) + 1),
            width: 1.6,
            points: { show: false },
            ...(device.estimated ? { dash: [5, 4] } : {}),
          })),
        ],
        hooks: { drawClear: [(plot) => this.shade(plot)] },
      },
      [[]],
      host,
    );
  }

  private shade(plot: uPlot): void {
    const { ctx, bbox } = plot;
    const { palette } = this;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.font = `${12 * devicePixelRatio}px ${palette.font}`;
    ctx.textBaseline = "top";
    // Drawing the axes leaves another one.
    ctx.textAlign = "left";
    for (const band of bands([...this.windows, ...this.phases], (second) => plot.valToPos(second, "x", true), bbox.left, bbox.left + bbox.width)) {
      ctx.fillStyle = palette.grid;
      ctx.globalAlpha = band.measured ? 0.6 : 0.25;
      ctx.fillRect(band.left, bbox.top, band.right - band.left, bbox.height);
      ctx.globalAlpha = 1;
      ctx.fillStyle = palette.muted;
      if (band.right - band.left > ctx.measureText(band.name).width + 8) ctx.fillText(band.name, band.left + 4, bbox.top + 4);
    }
    ctx.restore();
  }
}

const NICE = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];

/** A round value above all of them; it shrinks only where much is empty, so that the axis holds still. */
export function topOf(before: number, values: readonly number[]): number {
  let most = 0;
  for (const value of values) if (value > most) most = value;
  const wanted = most * 1.1;
  if (wanted <= 0) return before;
  if (wanted <= before && wanted > before * 0.4) return before;
  const power = 10 ** Math.floor(Math.log10(wanted));
  return (NICE.find((n) => n * power >= wanted) ?? 10) * power;
}
