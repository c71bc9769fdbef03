/** One run of a recording by itself, from the beginning of its first window on. */
import type { LiveEvent, ShownArm, TableEvent } from "./events";
import { apply, empty, type Model } from "./model";
import type { Recording, RunMark } from "./recording";

export interface Tape {
  readonly run: RunMark;
  readonly arm: ShownArm | null;
  readonly campaign: string;
  readonly tables: readonly TableEvent[];
  readonly events: readonly { readonly t: number; readonly event: LiveEvent }[];
  /** From the beginning of its first window to its last event, in ms. */
  readonly length: number;
}

export function tapeOf(recording: Recording, run: RunMark): Tape {
  const { end } = recording;
  const zero = run.window ?? run.from;
  const to = run.to ?? recording.length;
  const start = recording.beforeLine(run.line);
  const time = start.time.copy();
  const events: { t: number; event: LiveEvent }[] = [];
  let begun = false;
  for (let line = start.line; line < recording.count; line++) {
    for (const event of recording.line(line)) {
      const position = time.pass(event.at);
      if (position > to) return { ...about(), events };
      if (event.k === "begin" && line >= run.line) {
        if (begun) return { ...about(), events };
        begun = event.arm === run.arm && event.block === run.block && event.attempt === run.attempt;
      }
      if (begun && event.k !== "table" && event.k !== "campaign") events.push({ t: position - zero, event });
      if (begun && event.k === "end") return { ...about(), events };
    }
  }
  return { ...about(), events };

  function about(): Omit<Tape, "events"> {
    return { run, arm: end.arms[run.arm] ?? null, campaign: end.name, tables: end.tables, length: Math.max(0, to - zero) };
  }
}

/** What is known of it so many ms after its first window began. */
export class TapePlayer {
  model: Model = empty();
  private next = 0;
  private t = -Infinity;

  constructor(readonly tape: Tape) {}

  go(t: number): Model {
    if (t < this.t) {
      this.model = empty();
      this.next = 0;
    }
    this.t = t;
    const { events } = this.tape;
    for (let found = events[this.next]; found && found.t <= t; found = events[this.next]) {
      apply(this.model, found.event);
      this.next += 1;
    }
    return this.model;
  }
}

