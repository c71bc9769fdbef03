/** Two runs that answer side by side: which they are, and what can be said of them together. */
import type { EndEvent, Interval } from "./events";
import { isStale, type Model, type RunKey, windowsJOf } from "./model";
import type { Tape } from "./tape";

/** `3.0.1`: experiment, block, attempt; `now`: the run under way. */
export type Chosen = RunKey | "now";

export function written(chosen: Chosen): string {
  return chosen === "now" ? chosen : `${chosen.arm}.${chosen.block}.${chosen.attempt}`;
}

export function readChosen(text: string | null): Chosen | null {
  if (text === "now") return "now";
  const found = /^(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?$/.exec(text ?? "");
  if (!found) return null;
  return { arm: Number(found[1]), block: Number(found[2]), attempt: Number(found[3] ?? 0) };
}

/** The run that is meant: of two with the same name, where one was lost and made again, the later. */
export function meant<T extends RunKey>(runs: readonly T[], chosen: Chosen | null): T | null {
  if (chosen === null || chosen === "now") return null;
  return runs.filter((run) => written(run) === written(chosen)).at(-1) ?? null;
}

/** Each that can be meant, once. */
export function meantBy<T extends RunKey>(runs: readonly T[]): T[] {
  const last = new Map(runs.map((run) => [written(run), run]));
  return runs.filter((run) => last.get(written(run)) === run);
}

export function same(a: Chosen, b: Chosen): boolean {
  return written(a) === written(b);
}

/** Of all devices of one class, within the windows. */
export interface Sum {
  /** Not a number where a part of it was not read. */
  readonly j: number;
  /** Now; not a number where one of them is not read any more. */
  readonly w: number;
  readonly estimated: boolean;
  readonly tokens: number;
  /** What was used for those tokens: they are told a little later than power. */
  readonly forTokens: number;
}

export function sumOf(model: Pick<Model, "devices" | "windows" | "tokens">, deviceClass: string, at: number): Sum {
  const found = model.devices.filter((d) => d.deviceClass === deviceClass);
  return {
    j: found.reduce((sum, d) => sum + windowsJOf(d, model.windows, at), 0),
    w: found.reduce((sum, d) => sum + (isStale(d, at) ? NaN : d.w), 0),
    estimated: found.some((d) => d.estimated),
    tokens: model.tokens?.windowsN ?? 0,
    forTokens: model.tokens?.windowsJ[deviceClass] ?? 0,
  };
}

export function perToken({ forTokens, tokens }: Sum): number | null {
  return tokens >= 1 && !Number.isNaN(forTokens) ? forTokens / tokens : null;
}

/** The class of devices in which both can be compared; null where there is none. */
export function classOf(left: readonly string[], right: readonly string[], preferred: string | null): string | null {
  const both = left.filter((c) => right.includes(c));
  return preferred !== null && both.includes(preferred) ? preferred : (both[0] ?? null);
}

/** The devices' classes of a run, in the order of its readings. */
export function classesOf(tape: Tape): string[] {
  const found = new Set<string>();
  for (const { event } of tape.events) if (event.k === "power") found.add(event.device_class);
  return [...found];
}

export type Prompts = "same" | "order" | "other" | "models" | "unknown" | "campaigns";

/** Whether both answer the same. The list of an experiment's requests is told by its hash; where it is not,
 * experiments of one campaign and one model share it unless their workloads differ: lists are made for each
 * model. Each block has an order of its own. */
export function promptsOf(left: Told, right: Told, sameCampaign: boolean): Prompts {
  const known = left.requests !== "" && right.requests !== "";
  const swept = ({ settings }: Told): string =>
    JSON.stringify(Object.entries(settings).filter(([path]) => path.startsWith("workload")).sort());
  if (!known && !sameCampaign) return "unknown";
  if (!known && left.model !== right.model) return "models";
  if (known ? left.requests !== right.requests : swept(left) !== swept(right)) return "other";
  if (!sameCampaign) return "campaigns";
  return left.block === right.block ? "same" : "order";
}
export interface Told {
  readonly settings: Readonly<Record<string, unknown>>;
  readonly requests: string;
  readonly model: string;
  readonly block: number;
}

export function intervalOf(tape: { readonly tables: Model["tables"] }, arm: number, deviceClass: string): Interval | null {
  const table = tape.tables.find((found) => found.device_class === deviceClass);
  return table?.rows.find((row) => row.arm === arm)?.energy_per_output_token_j ?? null;
}

/** Of a run that has ended: the figure of its record for this class of devices. */
export function figureOf({ ended }: Pick<Model, "ended">, deviceClass: string | null): Interval | null {
  return (deviceClass !== null && ended?.energy_per_output_token_j?.[deviceClass]) || null;
}

/** From `low` to `high` percent less, rounded outwards. */
export type Difference = { readonly kind: "less"; readonly left: boolean; readonly low: string; readonly high: string } | { readonly kind: "overlap" | "no_interval" };

/** What two records' figures tell of which used less: nothing where their intervals overlap. */
export function between(left: Interval, right: Interval): Difference {
  const [a, b] = [endsOf(left), endsOf(right)];
  if (!a || !b) return { kind: "no_interval" };
  const isLeft = left.value < right.value;
  const [less, more] = isLeft ? [a, b] : [b, a];
  const [low, high] = [percentLess(less[1], more[0]), percentLess(less[0], more[1])];
  if (!(low > 0)) return { kind: "overlap" };
  return { kind: "less", left: isLeft, low: rounded(low, Math.floor), high: rounded(high, Math.ceil) };
}

/** What is but floating point's is none. */
function percentLess(less: number, more: number): number {
  return more > 0 ? Number((100 * (1 - less / more)).toFixed(6)) : 0;
}

/** Whole, or where it is below one its first digit: never 0. */
function rounded(percent: number, round: (n: number) => number): string {
  const decimals = percent < 1 ? -Math.floor(Math.log10(percent)) : 0;
  return (round(Number((percent * 10 ** decimals).toFixed(6))) / 10 ** decimals).toFixed(decimals);
}

export type Against = "fine" | "machines" | "machines_unknown" | "meters" | "meters_unknown";

/** Whether the figures of two runs can be held against each other. Runs of one campaign of which nothing is
 * told are of one machine and read alike. */
export function against(left: EndEvent, right: EndEvent, deviceClass: string, sameCampaign: boolean): Against {
  const machines = alike(left.hardware, right.hardware, sameCampaign);
  if (machines !== "alike") return machines === "differ" ? "machines" : "machines_unknown";
  const meters = alike(left.meters?.[deviceClass], right.meters?.[deviceClass], sameCampaign);
  if (meters !== "alike") return meters === "differ" ? "meters" : "meters_unknown";
  return "fine";
}

function alike(left = "", right = "", sameCampaign: boolean): "alike" | "differ" | "unknown" {
  if (left === "" && right === "") return sameCampaign ? "alike" : "unknown";
  if (left === "" || right === "") return "unknown";
  return left === right ? "alike" : "differ";
}

function endsOf({ low, high }: Interval): readonly [number, number] | null {
  return typeof low === "number" && typeof high === "number" ? [low, high] : null;
}
