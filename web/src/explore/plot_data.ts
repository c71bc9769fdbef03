/** A cloud of points as the plot draws it: in units that read well, with colours by what is chosen. */
import { coloursOf } from "../charts/colours";
import type { PlotAxis, PlotData, Uncertainties } from "../charts/plot";
import type { Kind } from "../charts/scales";
import { t } from "../text";
import { leastOf, nameInClass, saidUnit, scaled, tierName, valueText } from "../words";
import { type Axis, type Cloud, type Codes, TIERS, type Value } from "./source";
import type { Colouring, Scaling } from "./view";

export interface LegendLine {
  readonly name: string;
  /** 0 (grey) to 7. */
  readonly colour: number;
  readonly points: number;
}
export interface Colours {
  /** Of each point. */
  readonly colours: Uint8Array;
  readonly legend: readonly LegendLine[];
}

export async function coloursIn(cloud: Cloud, by: Colouring): Promise<Colours> {
  const found = by === "precision" ? precision(await Promise.all([cloud.codes("quantization"), cloud.codes("dtype")])) : await cloud.codes(by);
  const name = (value: Value): string => (by === "tier" ? tierName(TIERS[Number(value) - 1] ?? "self-reported") : valueText(value));
  return coloured(found, name);
}

/** Values share a colour from the eighth on: grey, as "others". */
export function coloured({ values, codes }: Codes, name: (value: Value) => string): Colours {
  const own = coloursOf(values.map(String));
  const counts = new Int32Array(values.length);
  for (const code of codes) counts[code] = (counts[code] ?? 0) + 1;
  const lines: LegendLine[] = [];
  let others = 0;
  values.forEach((value, code) => {
    const [points, colour] = [counts[code] ?? 0, own[code] ?? 0];
    if (points === 0) return;
    if (colour === 0) others += points;
    else lines.push({ name: name(value), colour, points });
  });
  lines.sort((a, b) => b.points - a.points);
  if (others > 0) lines.push({ name: t("explorer.other_values"), colour: 0, points: others });
  return { colours: Uint8Array.from(codes, (code) => own[code] ?? 0), legend: lines };
}

/** How weights are compressed, and where they are not, the number format. */
function precision([quantization, dtype]: readonly Codes[]): Codes {
  if (!quantization || !dtype) return { values: [], codes: new Uint16Array() };
  const names = Array.from(quantization.codes, (code, i) => quantization.values[code] || (dtype.values[dtype.codes[i] ?? 0] ?? ""));
  const counts = new Map<Value, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const values = [...counts].sort((a, b) => b[1] - a[1]).map(([value]) => value);
  const place = new Map(values.map((value, i) => [value, i]));
  return { values, codes: Uint16Array.from(names, (name) => place.get(name) ?? 0) };
}

export interface Side {
  readonly axis: PlotAxis;
  readonly factor: number;
  readonly unit: string;
}

export function side(axis: Axis, energyClass: string, values: Float64Array, scaling: Scaling): Side {
  const [factor, unit] = scaled(axis.unit, values);
  const name = nameInClass(axis.metric, energyClass);
  const words = t("plot.axis", { name, unit: saidUnit(unit) });
  return {
    axis: { title: `${words}, ${t(axis.better === "lower" ? "plot.less" : "plot.more")}`, kind: kindOf(values, scaling), better: axis.better, positive: leastOf(axis.metric) === 0 },
    factor,
    unit,
  };
}

/** By itself logarithmic where values span much; what is not above 0 has no logarithm. */
export function kindOf(values: Float64Array, scaling: Scaling): Kind {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!(low > 0)) return "linear";
  return scaling === "auto" ? (high / low > 8 ? "log" : "linear") : scaling;
}

/** Likelihoods of different models are not held against each other: no line joins their front. */
export function joins({ x, y }: Cloud): boolean {
  return x.metric !== "nll_per_token" && y.metric !== "nll_per_token";
}

export function plotData(cloud: Cloud, colours: Uint8Array, x: Side, y: Side): PlotData {
  const times = (u: number | null, factor: number): number | null => (u === null ? null : u * factor);
  return {
    xs: cloud.xs.map((v) => v * x.factor),
    ys: cloud.ys.map((v) => v * y.factor),
    colours,
    certain: cloud.certain,
    estimated: cloud.energyClass === "estimated" && [cloud.x.unit, cloud.y.unit].some((unit) => /^[JW]/.test(unit)),
    front: cloud.front.map((m) => ({
      row: m.row,
      x: m.x * x.factor,
      y: m.y * y.factor,
      x_uncertainty: times(m.x_uncertainty, x.factor),
      y_uncertainty: times(m.y_uncertainty, y.factor),
    })),
    joined: joins(cloud),
    x: x.axis,
    y: y.axis,
  };
}

export function plotWidths(found: Uncertainties, x: Side, y: Side): Uncertainties {
  return { x: found.x.map((u) => u * x.factor), y: found.y.map((u) => u * y.factor) };
}
