/** A whole log, to be walked through: the bytes as they came, and every so often what was known then, so
 * that any time is reached by applying few events. Time is what passed from event to event, whatever
 * clocks they are of. */
import { eventsOf, type LiveEvent } from "./events";
import { apply, copyOf, empty, isMade, laterOf, type Model, phaseOf, type RunKey, type Status } from "./model";

const SNAPSHOT_BYTES = 1 << 20;
const SNAPSHOTS = 64;
/** Phases in which something is answered; all else is waiting. */
const ACTIVE: ReadonlySet<string> = new Set(["warm_up", "search", "window", "prefill", "accuracy", "quality"]);
const SHORTEST_WAIT_MS = 1500;
const decoder = new TextDecoder();

export interface Stretch {
  readonly from: number;
  readonly to: number;
}
/** When a run was, in ms from the recording's beginning. */
export interface RunMark extends RunKey {
  readonly from: number;
  readonly window: number | null;
  readonly to: number | null;
  readonly status: Status;
  readonly line: number;
}

/** The events of a line `[fence, number, [events]]`; none where it is no such line. */
export function batchOf(line: Uint8Array): LiveEvent[] {
  try {
    const found: unknown = JSON.parse(decoder.decode(line));
    return Array.isArray(found) ? eventsOf(found[2]) : [];
  } catch {
    return [];
  }
}

/** How much time passes from event to event. */
export class Timeline {
  position = 0;
  at = -Infinity;

  /** The position of an event that comes next. */
  of(at: number): number {
    return this.at === -Infinity ? 0 : this.position + Math.max(0, laterOf(this.at, at) - this.at);
  }

  pass(at: number): number {
    this.position = this.of(at);
    this.at = this.at === -Infinity ? at : laterOf(this.at, at);
    return this.position;
  }

  copy(): Timeline {
    return Object.assign(new Timeline(), { position: this.position, at: this.at });
  }
}

interface Snapshot {
  readonly line: number;
  readonly time: Timeline;
  readonly model: Model;
}

export class Recording {
  readonly runs: RunMark[] = [];
  readonly waits: Stretch[] = [];
  bytes = 0;
  private readonly lines: Uint8Array[] = [];
  private snapshots: Snapshot[] = [{ line: 0, time: new Timeline(), model: empty() }];
  private readonly head = { model: empty(), time: new Timeline() };
  private spacing = SNAPSHOT_BYTES;
  private since = 0;
  private waiting: number | null = 0;

  constructor(spacing = SNAPSHOT_BYTES) {
    this.spacing = spacing;
  }

  get length(): number {
    return this.head.time.position;
  }

  get count(): number {
    return this.lines.length;
  }

  /** What is known at its end. */
  get end(): Model {
    return this.head.model;
  }

  line(i: number): LiveEvent[] {
    const line = this.lines[i];
    return line ? batchOf(line) : [];
  }

  add(line: Uint8Array): void {
    const { model, time } = this.head;
    for (const event of batchOf(line)) {
      const position = time.pass(event.at);
      const running = model.run !== null && !model.ended;
      apply(model, event);
      this.mark(event, position, running);
    }
    this.lines.push(line);
    this.bytes += line.length;
    this.since += line.length;
    if (this.since >= this.spacing) this.snap();
  }

  /** Where a time lies within a wait, its end; else the time itself. */
  afterWait(position: number): number {
    const wait = this.waits.find((w) => w.from <= position && position < w.to);
    return wait ? wait.to : position;
  }

  /** The latest snapshot not after it. */
  before(position: number): Snapshot {
    let found = this.snapshots[0] as Snapshot;
    for (const snapshot of this.snapshots) if (snapshot.time.position <= position) found = snapshot;
    return found;
  }

  /** The latest snapshot with nothing of this line, nor of any that follows. */
  beforeLine(line: number): Snapshot {
    let found = this.snapshots[0] as Snapshot;
    for (const snapshot of this.snapshots) if (snapshot.line <= line) found = snapshot;
    return found;
  }

  private mark(event: LiveEvent, position: number, wasRunning: boolean): void {
    const { model } = this.head;
    const last = this.runs.length - 1;
    const open = this.runs[last];
    const change = (more: Partial<RunMark>): void => {
      if (open && open.to === null) this.runs[last] = { ...open, ...more };
    };
    if (event.k === "begin") {
      change({ to: position });
      const { arm, block, attempt } = event;
      this.runs.push({ arm, block, attempt, from: position, window: null, to: null, status: "running", line: this.lines.length });
    } else if (event.k === "window" && event.begins && open?.window === null)
      // It was told after its time.
      change({ window: Math.max(open.from, position - Math.max(0, this.head.time.at - event.at)) });
    else if (event.k === "end" && open?.arm === event.arm && open.block === event.block)
      change({ to: position, status: model.cells[event.arm]?.[event.block]?.status ?? "done" });
    else if (event.k === "state" && wasRunning && !model.run) change({ to: position });
    if (event.k === "state" || event.k === "plan") this.takeBack();
    else if (event.k === "end" && !(open?.arm === event.arm && open.block === event.block)) this.stands(event);
    if (event.k === "end" && event.outcome === "record" && event.consequence === "void") this.voidWith(event);
    const active = ACTIVE.has(phaseOf(model));
    if (active && this.waiting !== null) {
      if (position - this.waiting >= SHORTEST_WAIT_MS) this.waits.push({ from: this.waiting, to: position });
      this.waiting = null;
    } else if (!active && this.waiting === null) this.waiting = position;
  }

  /** Runs of a block that somebody else begins anew. */
  private takeBack(): void {
    const { cells } = this.head.model;
    this.runs.forEach((run, i) => {
      if (run.to !== null && run.status !== "void" && !cells[run.arm]?.[run.block]) this.runs[i] = { ...run, status: "void" };
    });
  }

  /** All runs of its block so far: those that came out are of the same pass, or of one that was void before. */
  private voidWith({ block }: RunKey): void {
    this.runs.forEach((run, i) => {
      if (run.block === block && isMade(run.status)) this.runs[i] = { ...run, status: "void" };
    });
  }

  /** Whoever goes on says how an earlier run came out: it counts all the same. */
  private stands({ arm, block, attempt }: RunKey): void {
    const run = this.runs.filter((r) => r.arm === arm && r.block === block && r.attempt === attempt).at(-1);
    if (run) this.runs[this.runs.indexOf(run)] = { ...run, status: this.head.model.cells[arm]?.[block]?.status ?? run.status };
  }

  private snap(): void {
    const { model, time } = this.head;
    this.snapshots.push({ line: this.lines.length, time: time.copy(), model: copyOf(model) });
    this.since = 0;
    if (this.snapshots.length <= SNAPSHOTS) return;
    this.snapshots = this.snapshots.filter((_, i) => i % 2 === 0);
    this.spacing *= 2;
  }
}

/** What is known at one time of a recording; goes on cheaply, and anywhere. */
export class Cursor {
  model = empty();
  private time = new Timeline();
  private line = 0;
  private events: LiveEvent[] | null = null;
  private next = 0;
  private position = 0;

  constructor(private readonly recording: Recording) {}

  /** The time by the clock of the events. */
  get now(): number {
    return this.time.at + (this.position - this.time.position);
  }

  /** Where it is, in ms from the beginning. */
  get at(): number {
    return this.position;
  }

  go(position: number): void {
    const to = Math.min(this.recording.length, Math.max(0, position));
    const snapshot = this.recording.before(to);
    if (to < this.position || snapshot.line > this.line) {
      this.model = copyOf(snapshot.model);
      this.time = snapshot.time.copy();
      [this.line, this.events, this.next] = [snapshot.line, null, 0];
    }
    this.position = to;
    while (this.line < this.recording.count) {
      this.events ??= this.recording.line(this.line);
      for (; this.next < this.events.length; this.next++) {
        const event = this.events[this.next] as LiveEvent;
        if (this.time.of(event.at) > to) return;
        this.time.pass(event.at);
        apply(this.model, event);
      }
      [this.line, this.events, this.next] = [this.line + 1, null, 0];
    }
  }
}
