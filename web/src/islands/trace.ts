/** Readings over time (`lem.charts.data` of a Traces, in the element or at `data-address`), with phases
 * shaded: to be zoomed and read off. The drawing of the server gives way to it. */
import uPlot from "uplot";
import { bands, onOneClock, type Phase } from "../charts/phases";
import { colourOf } from "../charts/marks";
import { onTheme, paletteOf } from "../charts/palette";
import { tickText } from "../charts/scales";
import { dataOf } from "../page/islands";
import { t } from "../text";
import { threeDigits } from "../words";

interface Line {
  readonly name: string;
  readonly t_s: readonly number[];
  readonly values: readonly (number | null)[];
  readonly device_class: string;
  readonly colour: number | null;
}
interface Chart {
  readonly kind: "traces";
  readonly id: string;
  readonly title: string;
  readonly axis: { readonly label: string; readonly unit: string };
  readonly lines: readonly Line[];
  readonly phases: readonly Phase[];
}

export default function mount(element: HTMLElement): void {
  const { address } = element.dataset;
  const here = dataOf(element) as Chart | null;
  const found = here ? Promise.resolve(here) : address ? fetch(address).then((answer) => answer.json() as Promise<Chart>) : null;
  found?.then((chart) => chart.kind === "traces" && show(element, chart)).catch(console.error);
}

function show(element: HTMLElement, chart: Chart): void {
  const height = Math.min(480, Math.max(240, element.offsetHeight - 40));
  const host = document.createElement("div");
  host.className = "trace";
  element.replaceChildren(host);
  let plot: uPlot | null = null;
  const draw = (): void => {
    plot?.destroy();
    plot = new uPlot(options(chart, host, height), onOneClock(chart.lines) as uPlot.AlignedData, host);
    tell(chart, plot);
  };
  new ResizeObserver(() => plot?.setSize({ width: host.clientWidth, height })).observe(host);
  onTheme(draw);
  draw();
}

function options(chart: Chart, host: HTMLElement, height: number): uPlot.Options {
  const palette = paletteOf(host);
  const letters = `13px ${palette.font}`;
  const axis = { stroke: palette.muted, font: letters, labelFont: letters, grid: { stroke: palette.grid, width: 1 }, ticks: { show: false } };
  const { label, unit } = chart.axis;
  return {
    width: host.clientWidth || 600,
    height,
    scales: { x: { time: false } },
    legend: { live: true },
    cursor: { drag: { x: true, y: false } },
    axes: [
      { ...axis, label: t("trace.seconds"), values: (_, ticks) => ticks.map(tickText) },
      { ...axis, label: unit ? t("plot.axis", { name: label, unit }) : label, values: (_, ticks) => ticks.map(tickText), size: 64 },
    ],
    series: [
      { label: t("trace.seconds"), value: (_, second) => (second === null ? "" : tickText(Math.round(second * 1000) / 1000)) },
      ...chart.lines.map((line, i) => ({
        label: line.name,
        stroke: colourOf(palette, line.colour ?? (i % 7) + 1),
        width: 1.4,
        points: { show: false },
        ...(line.device_class === "estimated" ? { dash: [5, 4] } : {}),
        value: (_: uPlot, value: number | null) => (value === null ? "" : `${threeDigits(value)} ${unit}`),
      })),
    ],
    hooks: {
      setCursor: [(u) => host.classList.toggle("is-pointed", typeof u.cursor.idx === "number")],
      drawClear: [
        (u) => {
          const { ctx, bbox } = u;
          ctx.save();
          for (const band of bands(chart.phases, (second) => u.valToPos(second, "x", true), bbox.left, bbox.left + bbox.width)) {
            ctx.fillStyle = palette.grid;
            ctx.globalAlpha = band.measured ? 0.75 : 0.25;
            ctx.fillRect(band.left, bbox.top, band.right - band.left, bbox.height);
            ctx.globalAlpha = 1;
            ctx.fillStyle = palette.muted;
            ctx.font = `${12 * devicePixelRatio}px ${palette.font}`;
            ctx.textBaseline = "top";
            if (ctx.measureText(band.name).width < band.right - band.left - 6) ctx.fillText(band.name, band.left + 4, bbox.top + 4);
          }
          ctx.restore();
        },
      ],
    },
  };
}

interface DrawnTrace {
  readonly lines: readonly { readonly name: string; readonly points: number }[];
  readonly phases: readonly Phase[];
}
declare global {
  interface Window {
    __lem_traces?: Record<string, DrawnTrace>;
  }
}

/** What was drawn, as data, for tests. */
function tell(chart: Chart, plot: uPlot): void {
  window.__lem_traces ??= {};
  window.__lem_traces[chart.id] = {
    lines: plot.series.slice(1).map((series, i) => ({
      name: String(series.label),
      points: (plot.data[i + 1] ?? []).filter((v) => v !== null && v !== undefined).length,
    })),
    phases: chart.phases,
  };
}
