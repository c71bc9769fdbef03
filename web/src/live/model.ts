/** What is known of a campaign after some events: a function of the events alone, without a clock, so that
 * a recording shows at any time what was shown live. What a field holds is replaced and never changed, but
 * for readings, which `copyOf` copies. */
import { type Answers, NO_ANSWERS, withPiece } from "./answers";
import type {
  BeginEvent, CampaignEvent, EndEvent, FlagEvent, Interval, LiveEvent, PhaseEvent, PlanEvent, PowerEvent, ShownArm, StateEvent,
  TableEvent, TokensEvent, WindowEvent,
} from "./events";
import { Samples } from "./samples";

export const PHASES = 400;
export const DEVICES = 40;
export const FLAGS = 30;
export const CLASSES = 10;
export const ARMS = 1000;
export const BLOCKS = 1000;

export type Status = "running" | "done" | "excluded" | "void" | "failed";
/** Of one experiment in one block; what is not there waits. */
export interface Cell {
  readonly status: Status;
  readonly attempt: number;
  readonly energy: Readonly<Record<string, Interval>>;
  readonly message: string;
}
export type Row = readonly (Cell | undefined)[];
export interface RunKey {
  readonly arm: number;
  readonly block: number;
  readonly attempt: number;
}
export interface Run extends RunKey {
  readonly at: number;
}
export interface Span {
  readonly phase: string;
  readonly at: number;
}
/** A measured window; `to`: null while it goes on. */
export interface Measured {
  readonly from: number;
  readonly to: number | null;
}
export interface Device {
  readonly name: string;
  readonly deviceClass: string;
  readonly estimated: boolean;
  readonly at: number;
  readonly w: number;
  /** Since the run's first reading. */
  readonly j: number;
  /** Within the run's windows, of which its figures are. */
  readonly windowsJ: number;
}
export interface Tokens {
  readonly at: number;
  readonly n: number;
  readonly perS: number;
  readonly windowsN: number;
  /** What each class of devices had used within the windows by then: for these tokens. */
  readonly windowsJ: Readonly<Record<string, number>>;
}

export interface Model {
  /** Of all events. */
  applied: number;
  at: number;
  name: string;
  arms: readonly ShownArm[];
  baseline: number;
  plan: PlanEvent | null;
  state: StateEvent | null;
  cells: readonly Row[];
  run: Run | null;
  ended: EndEvent | null;
  phases: readonly Span[];
  windows: readonly Measured[];
  devices: readonly Device[];
  samples: ReadonlyMap<string, Samples>;
  tokens: Tokens | null;
  answers: Answers;
  flags: readonly FlagEvent[];
  /** One of each class of devices. */
  tables: readonly TableEvent[];
  /** Of each class the last one with other blocks. */
  before: readonly TableEvent[];
  /** The blocks that were begun, where no plan has said how many there are. */
  blocks: number;
  /** Somebody has taken it, and has not said yet what there is to run. */
  anew: boolean;
}

export function empty(): Model {
  return {
    applied: 0,
    at: 0,
    name: "",
    arms: [],
    baseline: 0,
    plan: null,
    state: null,
    cells: [],
    run: null,
    ended: null,
    phases: [],
    windows: [],
    devices: [],
    samples: new Map(),
    tokens: null,
    answers: NO_ANSWERS,
    flags: [],
    tables: [],
    before: [],
    blocks: 0,
    anew: false,
  };
}

export function copyOf(model: Model): Model {
  return { ...model, samples: new Map([...model.samples].map(([name, found]) => [name, found.copy()])) };
}

export function apply(model: Model, event: LiveEvent): void {
  model.applied += 1;
  model.at = laterOf(model.at, event.at);
  switch (event.k) {
    case "campaign": return campaign(model, event);
    case "plan": return plan(model, event);
    case "state": return state(model, event);
    case "begin": return begin(model, event);
    case "phase": return phase(model, event);
    case "window": return edge(model, event);
    case "power": return power(model, event);
    case "tokens": return tokens(model, event);
    case "text":
      model.answers = withPiece(model.answers, event);
      return;
    case "flag":
      model.flags = [...model.flags.slice(1 - FLAGS), event];
      return;
    case "end": return end(model, event);
    case "table": return table(model, event);
  }
}

/** Events are a little out of order where threads tell of them; further back, it is another clock's time. */
const ANOTHER_CLOCK_MS = 60_000;
export function laterOf(at: number, next: number): number {
  return next < at - ANOTHER_CLOCK_MS ? next : Math.max(at, next);
}

/** The phase that it is in, or "". */
export function phaseOf(model: Model): string {
  return model.run && !model.ended ? (model.phases.at(-1)?.phase ?? "") : "";
}

/** Whether its windows have ended, as far as is told. */
export function isOver({ windows, ended }: Pick<Model, "windows" | "ended">): boolean {
  return ended !== null || (windows.length > 0 && windows.at(-1)?.to !== null);
}

export function cellOf(model: Pick<Model, "cells">, arm: number, block: number): Cell | undefined {
  return model.cells[arm]?.[block];
}

/** Columns of the grid. */
export function blocksOf(model: Pick<Model, "plan" | "blocks">): number {
  return Math.min(BLOCKS, Math.max(model.plan?.blocks ?? 0, model.blocks));
}

export function countOf(cells: readonly Row[]): Record<Status, number> {
  const found = { running: 0, done: 0, excluded: 0, void: 0, failed: 0 };
  for (const row of cells) for (const cell of row ?? []) if (cell) found[cell.status] += 1;
  return found;
}

function campaign(model: Model, event: CampaignEvent): void {
  model.name = event.name;
  model.arms = event.arms.slice(0, ARMS);
  model.baseline = event.baseline;
}

function plan(model: Model, event: PlanEvent): void {
  model.plan = event;
  const { block = null } = event;
  // Whoever goes on tells next which runs of a block that is not whole count.
  if (model.anew && block !== null) takenBack(model, block);
  model.anew = false;
}

/** What was told of this block and of later ones waits again. */
function takenBack(model: Model, block: number): void {
  model.cells = model.cells.map((row) => (row?.length > block ? row.slice(0, block) : row));
}

function state(model: Model, event: StateEvent): void {
  model.state = event;
  if (event.state === "claimed") model.anew = true;
  const { run, ended } = model;
  const over = event.state !== "running" && event.state !== "staging";
  if (run && !ended && over) {
    // Whoever goes on begins this run anew.
    brokenOff(model, run);
    model.run = null;
  }
  // Nobody else goes on with a block that it had begun.
  const block = model.plan?.block ?? null;
  if (event.state === "lost" && block !== null) takenBack(model, block);
}

function begin(model: Model, { arm, block, attempt, at }: BeginEvent): void {
  if (model.run && !model.ended) brokenOff(model, model.run);
  model.run = { arm, block, attempt, at };
  model.ended = null;
  model.phases = [];
  model.windows = [];
  model.devices = [];
  model.samples = new Map();
  model.tokens = null;
  model.answers = NO_ANSWERS;
  model.flags = [];
  put(model, arm, block, { status: "running", attempt, energy: {}, message: "" });
}

function phase(model: Model, event: PhaseEvent): void {
  const { phases } = model;
  model.phases = [...phases.slice(1 - PHASES), { phase: event.phase, at: Math.max(event.at, phases.at(-1)?.at ?? -Infinity) }];
}

function power(model: Model, event: PowerEvent): void {
  const { devices } = model;
  const place = devices.findIndex((d) => d.name === event.device);
  const last = devices[place];
  if (!last && devices.length >= DEVICES) return;
  const device: Device = {
    name: event.device,
    deviceClass: event.device_class,
    estimated: event.estimated,
    at: event.at,
    w: event.w,
    j: event.j,
    windowsJ: event.window_j ?? (model.windows.length > 0 ? NaN : 0),
  };
  model.devices = last ? devices.map((d, i) => (i === place ? device : d)) : [...devices, device];
  let samples = model.samples.get(event.device);
  if (!samples) {
    samples = new Samples();
    model.samples = new Map([...model.samples, [event.device, samples]]);
  }
  samples.push(event.at, event.w);
}

/** As the server has it: over a longer time without a reading, nothing is known. */
const UNREAD_MS = 1500;
/** A reading that is older is not shown as that of now. */
const STALE_MS = 2500;

/** What a device has used in the windows until `at`; not a number where a part of them was not read. */
export function windowsJOf(device: Device, windows: readonly Measured[], at: number): number {
  const last = windows.at(-1);
  const until = last ? (last.to ?? at) : at;
  return last && until - device.at > UNREAD_MS ? NaN : device.windowsJ;
}

export function isStale(device: Device, at: number): boolean {
  return at - device.at > STALE_MS;
}

function tokens(model: Model, { at, n, per_s, window_n }: TokensEvent): void {
  const windowsJ: Record<string, number> = {};
  for (const d of model.devices) {
    // Of what is not read any more nothing is known, while tokens go on to count.
    windowsJ[d.deviceClass] = (windowsJ[d.deviceClass] ?? 0) + windowsJOf(d, model.windows, at);
  }
  model.tokens = { at, n, perS: per_s, windowsN: window_n ?? 0, windowsJ };
}

function edge(model: Model, { at, begins }: WindowEvent): void {
  const { windows } = model;
  const open = windows.at(-1);
  if (begins) model.windows = [...windows.slice(1 - PHASES), { from: at, to: null }];
  else if (open && open.to === null) model.windows = [...windows.slice(0, -1), { from: open.from, to: Math.max(open.from, at) }];
}

function end(model: Model, event: EndEvent): void {
  const { arm, block, attempt } = event;
  put(model, arm, block, {
    status: statusOf(event),
    attempt,
    energy: event.energy_per_output_token_j ?? {},
    message: event.outcome === "failure" ? [event.failure, event.message].filter(Boolean).join(": ") : (event.message ?? ""),
  });
  if (statusOf(event) === "void") voidWith(model, event);
  if (model.run && model.run.arm === arm && model.run.block === block) model.ended = event;
}

/** Whether it has come out, and is made again where another run of its block is void. */
export function isMade(status: Status): boolean {
  return status === "done" || status === "excluded";
}

/** Where a run is void, no other one of that pass of its block counts either: all of them are made again
 * (lem/stores/counted.py). */
function voidWith(model: Model, { arm, block }: RunKey): void {
  model.cells.forEach((row, i) => {
    const cell = row?.[block];
    if (i !== arm && cell && isMade(cell.status)) put(model, i, block, { ...cell, status: "void" });
  });
}

function table(model: Model, event: TableEvent): void {
  const of = (found: readonly TableEvent[]): TableEvent | undefined => found.find((t) => t.device_class === event.device_class);
  const last = of(model.tables);
  // The last one is said once more without being provisional: nothing is new in it.
  if (last && blocksIn(last) !== blocksIn(event)) model.before = withTable(model.before, last);
  model.tables = withTable(model.tables, event);
}

function withTable(found: readonly TableEvent[], event: TableEvent): readonly TableEvent[] {
  const place = found.findIndex((t) => t.device_class === event.device_class);
  if (place >= 0) return found.map((t, i) => (i === place ? event : t));
  return found.length < CLASSES ? [...found, event] : found;
}

function blocksIn({ rows }: TableEvent): number {
  return rows.reduce((sum, row) => sum + row.blocks, 0);
}

function statusOf({ outcome, consequence = "info" }: EndEvent): Status {
  if (outcome === "failure") return "failed";
  if (consequence === "void") return "void";
  return consequence === "exclude" ? "excluded" : "done";
}

function put(model: Model, arm: number, block: number, cell: Cell | undefined): void {
  if (!(arm >= 0 && arm < ARMS && block >= 0 && block < BLOCKS)) return;
  const row: (Cell | undefined)[] = [...(model.cells[arm] ?? [])];
  row[block] = cell;
  const cells: Row[] = [...model.cells];
  for (let i = cells.length; i < arm; i++) cells[i] = [];
  cells[arm] = row;
  model.cells = cells;
  model.blocks = Math.max(model.blocks, block + 1);
}

/** Begun and not ended: it waits again, or is what its last attempt was. */
function brokenOff(model: Model, { arm, block }: RunKey): void {
  if (cellOf(model, arm, block)?.status === "running") put(model, arm, block, undefined);
}
