/** A scatter that the page came with (`lem.charts.data` of a Scatter): the same points on a canvas, to be
 * pointed at, zoomed and gone through by keys. The drawing of the server gives way to it. */
import type { PlotData, Uncertainties } from "../charts/plot";
import { ScatterPlot } from "../charts/scatter";
import { dataOf } from "../page/islands";
import { t } from "../text";

type Interval = readonly [number, number] | null;
interface Mark {
  readonly label: string;
  readonly x: number | null;
  readonly y: number | null;
  readonly x_interval: Interval;
  readonly y_interval: Interval;
  readonly target: string | null;
  readonly title: string;
  readonly estimated: boolean;
}
interface Axis {
  readonly label: string;
  readonly unit: string;
  readonly log: boolean;
}
interface Chart {
  readonly kind: "scatter";
  readonly id: string;
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly { readonly name: string; readonly marks: readonly Mark[]; readonly colour: number | null }[];
}

interface Point extends Mark {
  readonly x: number;
  readonly y: number;
  readonly colour: number;
  readonly series: string;
}

/** In the order of x, as the plot's keys go. */
export function pointsOf(chart: Chart): Point[] {
  const found = chart.series.flatMap((series, i) =>
    series.marks.flatMap((mark) =>
      mark.x === null || mark.y === null
        ? []
        : [{ ...mark, x: mark.x, y: mark.y, colour: series.colour ?? (i % 7) + 1, series: series.name }],
    ),
  );
  return found.sort((a, b) => a.x - b.x);
}

/** Half of an interval; both ends are as far away, since intervals here are value ± U. */
export function half(interval: Interval): number {
  return interval ? (interval[1] - interval[0]) / 2 : NaN;
}

export default function mount(element: HTMLElement): void {
  const chart = dataOf(element) as Chart | null;
  if (chart?.kind !== "scatter") return;
  const points = pointsOf(chart);
  const height = element.offsetHeight;
  const host = document.createElement("div");
  host.className = "plot";
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  const said = document.createElement("p");
  said.className = "visually-hidden";
  said.setAttribute("aria-live", "polite");
  const widths: Uncertainties = {
    x: Float64Array.from(points, (p) => half(p.x_interval)),
    y: Float64Array.from(points, (p) => half(p.y_interval)),
  };
  let at: number | null = null;
  const plot = new ScatterPlot(host, chart.id, {
    uncertainties: () => Promise.resolve(widths),
    cursor: (row, kept) => {
      at = row;
      const point = row === null ? undefined : points[row];
      tip.hidden = !point;
      if (!point) return;
      tip.textContent = point.title || point.label;
      if (kept) said.textContent = `${point.title || point.label}. ${point.series}.`;
    },
    open: (row) => {
      const target = points[row]?.target;
      if (target) location.assign(target);
    },
    add: () => {},
    drawn: () => placeTip(tip, plot.place(at), host.clientWidth),
  });
  plot.element.setAttribute("role", "application");
  plot.element.setAttribute("aria-roledescription", t("plot.role"));
  plot.element.setAttribute("aria-label", chart.title);
  element.replaceChildren(host, said);
  host.append(tip);
  if (height > 0) host.style.height = `${Math.min(640, height)}px`;
  plot.show(dataFor(chart, points, widths));
}

function placeTip(tip: HTMLElement, place: readonly [number, number] | null, width: number): void {
  if (!place) {
    tip.hidden = true;
    return;
  }
  const [x, y] = place;
  tip.style.top = `${Math.max(0, y - 20)}px`;
  tip.style.left = x > width / 2 ? "auto" : `${x + 14}px`;
  tip.style.right = x > width / 2 ? `${width - x + 14}px` : "auto";
}

function dataFor(chart: Chart, points: readonly Point[], widths: Uncertainties): PlotData {
  const axis = ({ label, unit, log }: Axis): PlotData["x"] => ({
    title: unit ? t("plot.axis", { name: label, unit }) : label,
    kind: log ? "log" : "linear",
    better: "lower",
  });
  return {
    xs: Float64Array.from(points, (p) => p.x),
    ys: Float64Array.from(points, (p) => p.y),
    colours: Uint8Array.from(points, (p) => p.colour),
    certain: Uint8Array.from(points, (_, i) => Number(!Number.isNaN(widths.x[i]) && !Number.isNaN(widths.y[i]))),
    estimated: points.some((p) => p.estimated),
    front: [],
    joined: false,
    x: axis(chart.x),
    y: axis(chart.y),
  };
}
