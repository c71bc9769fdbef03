/** Figures and configurations as a reader sees them: the same as on the server's pages
 * (lem/web/words.py, lem/analysis/text.py, lem/pages/naming.py). */
import type { Configuration, Figure, Metric, Value } from "./explore/source";
import { maybe, t, whole } from "./text";

type HasFigure = Pick<Figure, "metric" | "value" | "uncertainty" | "unit">;
export interface Said {
  /** `20.50 ± 0.41`; `37 (0–300)` of what can't be below 0 where the interval would be. */
  readonly value: string;
  readonly unit: string;
  readonly certain: boolean;
}

const PREFIXES: Readonly<Record<string, readonly (readonly [number, string])[]>> = {
  J: [[1, "J"], [1e-3, "mJ"], [1e-6, "µJ"]],
  s: [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]],
};

/** Factor and unit in which these values read well: 1000 and `ms/token` for 0.02 s/token. */
export function scaled(unit: string, values: ArrayLike<number>): readonly [factor: number, unit: string] {
  const slash = unit.indexOf("/");
  const base = slash < 0 ? unit : unit.slice(0, slash);
  const rest = slash < 0 ? "" : unit.slice(slash);
  const prefixes = PREFIXES[base];
  const typical = Float64Array.from(values, Math.abs).filter(Boolean).sort();
  const middle = typical[Math.floor(typical.length / 2)];
  if (!prefixes || middle === undefined) return [1, unit];
  const last = prefixes[prefixes.length - 1] ?? [1, base];
  let found = prefixes.find(([size]) => middle >= size / 10) ?? last;
  // 0.2 J reads well; 0.02 s reads better as 20 ms.
  if (base === "s" && middle < found[0] && found[0] > 1e-6) found = prefixes.find(([size]) => middle >= size) ?? last;
  return [1 / found[0], found[1] + rest];
}

export type Scale = ReturnType<typeof scaled>;

/** Factor and unit that these figures share. */
export function scaleOf(figures: readonly HasFigure[]): Scale {
  return scaled(figures[0]?.unit ?? "", figures.map((f) => f.value));
}

/** In a unit that reads well; `scale`: of those that it stands beside. */
export function figure(found: HasFigure, [factor, unit]: Scale = scaleOf([found])): Said {
  const u = found.uncertainty;
  return {
    value: withUncertainty(found.value * factor, u === null ? null : u * factor, leastOf(found.metric)),
    unit: saidUnit(unit),
    certain: u !== null,
  };
}

/** `mJ/token` → `mJ per token`. */
export function saidUnit(unit: string): string {
  return unit.replace(/\/s$/, "/second").replaceAll("/", t("unit.per"));
}

/** Where the interval would reach below the least that the quantity can be, it is cut there. */
export function withUncertainty(value: number, uncertainty: number | null, least: number | null = null): string {
  if (!uncertainty) return minus(threeDigits(value));
  const decimals = places(uncertainty);
  const high = value + uncertainty;
  if (least === null || value < least || value - uncertainty >= least || !Number.isFinite(high))
    return minus(`${fixed(value, decimals)} ± ${fixed(uncertainty, decimals)}`);
  let shown = fixed(value, decimals);
  if (value > 1e-9 * uncertainty && !Number(shown)) shown = fixed(value, places(value));
  return `${shown} (${least}–${fixed(above(high, decimals), decimals)})`;
}

/** The next figure with so many decimals that is not smaller; a last digit that is but floating point's is none. */
function above(value: number, decimals: number): number {
  return Math.ceil(Number((value * 10 ** decimals).toFixed(6))) / 10 ** decimals;
}

/** Whether figures of this class of energy can tell it: an estimate knows no power at rest. */
export function canBeKnown(metric: string, energyClass: string): boolean {
  return energyClass !== "estimated" || metric !== "energy_above_idle_per_output_token_j";
}

/** Whether it is of a class of energy at all: times and rates are not. */
export function isEnergy(metric: string): boolean {
  return /_[jw]$/.test(metric);
}

/** What a metric can't be below; null where there is no such value (lem/analysis/quantities.py). */
export function leastOf(metric: string): number | null {
  return metric === "energy_above_idle_per_output_token_j" ? null : 0;
}

/** Decimals that show two significant digits of an uncertainty (GUM 7.2.6). */
export function places(uncertainty: number): number {
  if (uncertainty <= 0 || !Number.isFinite(uncertainty)) return 2;
  // 0.0996 rounds to 0.10: look at the rounded figure.
  const exponent = Math.floor(Math.log10(Number(uncertainty.toExponential(1))));
  return Math.min(12, Math.max(0, 1 - exponent));
}

/** At least three significant digits, without an exponent. */
export function threeDigits(value: number): string {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return "—";
  return fixed(value, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value)))));
}

const TIE = `5${"0".repeat(19)}`;

/** With so many decimals. What lies halfway goes to the even digit, as on the server. */
function fixed(value: number, decimals: number): string {
  const text = value.toFixed(decimals);
  const longer = value.toFixed(decimals + TIE.length);
  const even = /[02468]$/.test(text);
  return even || !longer.endsWith(TIE) ? text : longer.slice(0, -TIE.length).replace(/\.$/, "");
}

function minus(text: string): string {
  return text.replaceAll("-", "−");
}

export function metricName(metric: Metric): string {
  return t(`metrics.${metric}`);
}

/** Its name; of an estimate it says that it is one, wherever the name stands alone. */
export function nameInClass(metric: Metric, energyClass: string): string {
  const name = metricName(metric);
  if (energyClass !== "estimated" || !isEnergy(metric)) return name;
  return t("figure.estimated_name", { name: name.charAt(0).toLowerCase() + name.slice(1) });
}

/** Text from models, engines and files, safe to show: characters that control, hide or reorder text
 * become visible escapes; long text is cut. */
export function plain(text: string, limit = 300): string {
  const cut = [...text].length <= limit ? text : `${[...text].slice(0, limit - 1).join("")}…`;
  return cut.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu, escaped);
}

function escaped(character: string): string {
  const named: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
  const code = character.codePointAt(0) ?? 0;
  const hex = (digits: number): string => code.toString(16).padStart(digits, "0");
  return named[character] ?? (code < 0x100 ? `\\x${hex(2)}` : code < 0x10000 ? `\\u${hex(4)}` : `\\U${hex(8)}`);
}

/** A value of a dimension; what an experiment does not set has words of its own. */
export function valueText(value: Value): string {
  if (value === null || value === "") return t("explorer.not_set");
  return typeof value === "number" ? String(value) : plain(value);
}

/** Without the account that it is published under: `Qwen3-0.6B`. */
export function modelName(c: Configuration): string {
  return plain(c.model.slice(c.model.lastIndexOf("/") + 1)) || t("way.unnamed");
}

export function device(c: Configuration): string {
  const name = plain(c.device_model);
  return c.device_count === 1 ? name : `${c.device_count} × ${name}`;
}

/** How it was run: `vllm, bfloat16, batch 8`. */
export function way(c: Configuration): string {
  const parts = [plain(c.backend)];
  if (c.quantization) parts.push(plain(c.quantization));
  else if (c.dtype) parts.push(plain(c.dtype));
  if (c.max_batch_size !== null) parts.push(t("way.batch", { n: c.max_batch_size }));
  if (c.tensor_parallel_size !== null && c.tensor_parallel_size !== 1)
    parts.push(t("way.over", { n: c.tensor_parallel_size }));
  return parts.join(", ");
}

/** What it was asked: `random 128 → 64 tokens, 8 at a time`. */
export function workload(c: Configuration): string {
  let prompts = plain(c.dataset);
  if (c.input_tokens !== null && c.output_tokens !== null)
    prompts += ` ${t("way.tokens", { input: c.input_tokens, output: c.output_tokens })}`;
  return [prompts, arrival(c.arrival, c.load)].filter(Boolean).join(", ");
}

function arrival(kind: string, load: number | null): string {
  if (load === null) return plain(kind);
  const n = String(Number(load.toPrecision(6)));
  return kind === "concurrency" ? t("way.at_a_time", { n }) : t("way.per_second", { kind: plain(kind), n });
}

export function fullName(c: Configuration): string {
  return `${modelName(c)}, ${way(c)}, ${device(c)}`;
}

export function tierName(tier: Figure["tier"]): string {
  return t(`tier.${tier}.name`);
}

export function className(energyClass: string): string {
  return maybe(`class.${energyClass}`) ?? plain(energyClass);
}

/** Whether a figure of this unit is an estimate in this class. */
export function isEstimated(energyClass: string, unit: string): boolean {
  return energyClass === "estimated" && /^[JW]/.test(unit);
}

export { whole };
