/** What is told of a campaign while it runs (lem/contract/live.py). The server has parsed every event as
 * one of these and written it anew; what is missing here has the contract's default. */

export interface Interval {
  readonly value: number;
  readonly low?: number | null;
  readonly high?: number | null;
}
export interface ShownArm {
  readonly arm_id: string;
  readonly experiment_id: string;
  readonly label: string;
  readonly backend: string;
  readonly model: string;
  /** Of its list of requests; empty where it is not told. */
  readonly requests?: string;
  readonly settings?: Readonly<Record<string, string | number | boolean | null>>;
}
export interface CampaignEvent {
  readonly k: "campaign";
  readonly at: number;
  readonly name: string;
  readonly arms: readonly ShownArm[];
  readonly baseline: number;
}
export interface PlanEvent {
  readonly k: "plan";
  readonly at: number;
  readonly blocks: number;
  readonly pilot: boolean;
  readonly reason: string;
  readonly left: number;
  /** The first block that is not whole. */
  readonly block?: number | null;
}
export const STATES = ["queued", "claimed", "staging", "running", "lost", "done", "failed", "cancelled"] as const;
export type StateName = (typeof STATES)[number];
export interface StateEvent {
  readonly k: "state";
  readonly at: number;
  readonly state: StateName;
  readonly message?: string;
}
export interface BeginEvent {
  readonly k: "begin";
  readonly at: number;
  readonly arm: number;
  readonly block: number;
  readonly attempt: number;
}
export interface PhaseEvent {
  readonly k: "phase";
  readonly at: number;
  readonly phase: string;
}
/** An edge of a measured window: told a little after its own time. */
export interface WindowEvent {
  readonly k: "window";
  readonly at: number;
  readonly n: number;
  readonly begins: boolean;
  readonly tokens: number;
}
export interface PowerEvent {
  readonly k: "power";
  readonly at: number;
  readonly device: string;
  readonly device_class: string;
  readonly estimated: boolean;
  readonly w: number;
  readonly j: number;
  /** Within the run's windows so far; null before the first one. */
  readonly window_j?: number | null;
}
export interface TokensEvent {
  readonly k: "tokens";
  readonly at: number;
  readonly n: number;
  readonly per_s: number;
  readonly window_n?: number | null;
}
export interface TextEvent {
  readonly k: "text";
  readonly at: number;
  readonly request: string;
  readonly text: string;
  readonly end: boolean;
}
export interface FlagEvent {
  readonly k: "flag";
  readonly at: number;
  readonly flag: string;
  readonly message: string;
}
export interface EndEvent {
  readonly k: "end";
  readonly at: number;
  readonly arm: number;
  readonly block: number;
  readonly attempt: number;
  readonly outcome: "record" | "failure";
  readonly consequence?: "info" | "exclude" | "void";
  readonly failure?: string;
  readonly message?: string;
  readonly energy_per_output_token_j?: Readonly<Record<string, Interval>>;
  readonly output_tokens?: number;
  readonly output_throughput_tokens_per_s?: number | null;
  /** What it was made on; empty where it is not known. */
  readonly hardware?: string;
  /** Class of devices → the meter that its figure is of. */
  readonly meters?: Readonly<Record<string, string>>;
}
export interface TableRow {
  readonly arm: number;
  readonly blocks: number;
  readonly energy_per_output_token_j: Interval | null;
  readonly ratio: Interval | null;
}
export interface TableEvent {
  readonly k: "table";
  readonly at: number;
  readonly provisional: boolean;
  readonly device_class: string;
  readonly estimated: boolean;
  readonly level: number;
  readonly rows: readonly TableRow[];
}
export type LiveEvent =
  | CampaignEvent
  | PlanEvent
  | StateEvent
  | BeginEvent
  | PhaseEvent
  | WindowEvent
  | PowerEvent
  | TokensEvent
  | TextEvent
  | FlagEvent
  | EndEvent
  | TableEvent;

const KINDS: ReadonlySet<string> = new Set([
  "campaign", "plan", "state", "begin", "phase", "window", "power", "tokens", "text", "flag", "end", "table",
]);

/** The events of one batch as it came; what is none of them is left out, as of a newer server. */
export function eventsOf(batch: unknown): LiveEvent[] {
  return Array.isArray(batch) ? batch.filter(isEvent) : [];
}

function isEvent(found: unknown): found is LiveEvent {
  if (typeof found !== "object" || found === null) return false;
  const { k, at } = found as { k?: unknown; at?: unknown };
  return typeof k === "string" && KINDS.has(k) && typeof at === "number" && Number.isFinite(at);
}

/** Whether nothing follows on it. */
export function isFinal(state: StateName): boolean {
  return state === "done" || state === "failed" || state === "cancelled";
}
