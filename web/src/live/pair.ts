/** Two runs that answer side by side: which they are, and what can be said of them together. */
import type { Interval } from "./events";
import type { Model, RunKey } from "./model";
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

export function same(a: Chosen, b: Chosen): boolean {
  return written(a) === written(b);
}

/** Of all devices of one class, within the windows. */
export interface Sum {
  readonly j: number;
  readonly w: number;
  readonly estimated: boolean;
  readonly tokens: number;
  /** What was used for those tokens: they are told a little later than power. */
  readonly forTokens: number;
}

export function sumOf(model: Pick<Model, "devices" | "tokens">, deviceClass: string): Sum {
  const found = model.devices.filter((d) => d.deviceClass === deviceClass);
  return {
    j: found.reduce((sum, d) => sum + d.windowsJ, 0),
    w: found.reduce((sum, d) => sum + d.w, 0),
    estimated: found.some((d) => d.estimated),
    tokens: model.tokens?.windowsN ?? 0,
    forTokens: model.tokens?.windowsJ[deviceClass] ?? 0,
  };
}

export function perToken({ forTokens, tokens }: Sum): number | null {
  return tokens >= 1 ? forTokens / tokens : null;
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

export type Prompts = "same" | "order" | "other" | "campaigns";

/** Whether both answer the same. Within a campaign experiments share their workload, but for what is
 * swept of it; each block has an order of its own. */
export function promptsOf(left: Told, right: Told, sameCampaign: boolean): Prompts {
  if (!sameCampaign) return "campaigns";
  const of = ({ settings = {} }: Told): string =>
    JSON.stringify(Object.entries(settings).filter(([path]) => path.startsWith("workload")).sort());
  if (of(left) !== of(right)) return "other";
  return left.block === right.block ? "same" : "order";
}
export interface Told {
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly block: number;
}

export function intervalOf(tape: { readonly tables: Model["tables"] }, arm: number, deviceClass: string): Interval | null {
  const table = tape.tables.find((found) => found.device_class === deviceClass);
  return table?.rows.find((row) => row.arm === arm)?.energy_per_output_token_j ?? null;
}

/** How many percent less energy per token; null where too little was answered to say anything. */
export const LEAST_TOKENS = 20;
export function lessOf(left: Sum, right: Sum): number | null {
  const [a, b] = [perToken(left), perToken(right)];
  if (a === null || b === null || b === 0 || Math.min(left.tokens, right.tokens) < LEAST_TOKENS) return null;
  return Math.round(100 * (1 - a / b));
}
