import { expect, test } from "vitest";
import { Lines } from "../../src/live/lines";
import { apply, empty } from "../../src/live/model";
import { type Playing, played } from "../../src/live/play";
import { batchOf, Cursor, Recording, Timeline } from "../../src/live/recording";
import { TapePlayer, tapeOf } from "../../src/live/tape";
import type { LiveEvent } from "../../src/live/events";
import { meant } from "../../src/live/pair";
import { begin, edge, events, held, lines, phase, power, recorded } from "./made";

const line = (found: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(found));

/** At each event's time: what was known live then. */
function liveAt(positions: readonly number[]): string[] {
  const [model, time] = [empty(), new Timeline()];
  const found: string[] = [];
  let next = 0;
  for (const position of positions) {
    for (let event = events[next]; event && time.of(event.at) <= position; event = events[next]) {
      time.pass(event.at);
      apply(model, event);
      next += 1;
    }
    found.push(held(model));
  }
  return found;
}

test("a recording shows at any time what was shown live, wherever one came from", () => {
  const recording = recorded(4000);
  const positions = [...Array(60).keys()].map((i) => (recording.length * i) / 59);
  const live = liveAt(positions);
  const there = new Cursor(recording);
  positions.forEach((position, i) => {
    there.go(position);
    expect(held(there.model)).toBe(live[i]);
  });
  // Back and forth, in no order.
  const order = positions.map((_, i) => (i * 37) % positions.length);
  for (const i of order) {
    there.go(positions[i] ?? 0);
    expect(held(there.model)).toBe(live[i]);
  }
  there.go(recording.length);
  expect(held(there.model)).toBe(held(recording.end));
  expect(there.model.applied).toBe(events.length);
});

test("snapshots become fewer rather than many", () => {
  const recording = recorded(50);
  const there = new Cursor(recording);
  there.go(recording.length / 2);
  const half = held(there.model);
  there.go(recording.length);
  there.go(recording.length / 2);
  expect(held(there.model)).toBe(half);
});

test("runs, their windows and the waiting between them are known", () => {
  const recording = recorded();
  expect(recording.runs.length).toBe(10);
  expect(recording.runs.map((r) => r.status).filter((s) => s !== "done")).toHaveLength(3);
  for (const run of recording.runs) {
    expect(run.to).toBeGreaterThan(run.from);
    if (run.status !== "failed") expect(run.window).toBeGreaterThan(run.from);
  }
  const first = recording.runs[0];
  // Before the first run's warm-up there is nothing to see.
  expect(recording.afterWait(0)).toBeGreaterThan(first?.from ?? Infinity);
  const window = first?.window ?? 0;
  expect(recording.afterWait(window + 100)).toBe(window + 100);
  // In its idle phase it is passed over to the window.
  expect(recording.afterWait(window - 1000)).toBeCloseTo(window, 0);
});

test("clocks that jump make no time", () => {
  const recording = new Recording();
  const hour = 3_600_000;
  recording.add(line([1, 0, [begin(10 * hour), phase(10 * hour, "load")]]));
  // A little out of order, as of threads.
  recording.add(line([1, 1, [power(10 * hour + 2000, 1, 1), power(10 * hour + 1990, 1, 1), power(10 * hour + 3000, 1, 1)]]));
  expect(recording.length).toBe(3000);
  // Another runner, whose clock is behind by hours.
  recording.add(line([2, 0, [begin(2 * hour), power(2 * hour + 500, 1, 1)]]));
  expect(recording.length).toBe(3500);
});

test("lines come in pieces of any size, and broken ones say nothing", () => {
  const whole = new Uint8Array(lines.flatMap((l) => [...l, 10]));
  for (const size of [1, 7, 1000, whole.length]) {
    const cut = new Lines();
    const found: Uint8Array[] = [];
    for (let i = 0; i < whole.length; i += size) found.push(...cut.add(whole.subarray(i, i + size)));
    expect(found.length).toBe(lines.length);
    expect(found.map(batchOf).flat()).toEqual(events);
    expect(cut.last()).toEqual([]);
  }
  for (const broken of ["", "{", "[1,2", "7", "[1,2,7]", '[1,2,[{"k":"x","at":1}]]']) expect(batchOf(new TextEncoder().encode(broken))).toEqual([]);
});

test("a run by itself begins with its first window", () => {
  const recording = recorded(3000);
  for (const run of recording.runs) {
    const tape = tapeOf(recording, run);
    expect(tape.events[0]).toMatchObject({ event: { k: "begin", arm: run.arm, block: run.block, attempt: run.attempt } });
    expect(tape.events.at(-1)).toMatchObject({ event: { k: "end", arm: run.arm, block: run.block, attempt: run.attempt } });
    expect(tape.events.filter(({ event }) => event.k === "begin")).toHaveLength(1);
    if (run.window === null) continue;
    const player = new TapePlayer(tape);
    expect(player.go(-1).devices[0]?.windowsJ ?? 0).toBe(0);
    const { windowsJ } = player.go(tape.length / 2).devices[0] ?? { windowsJ: 0 };
    const half = held(player.model);
    const all = player.go(Infinity);
    expect(all.devices[0]?.windowsJ).toBeGreaterThan(windowsJ);
    expect(held(player.go(tape.length / 2))).toBe(half);
  }
});

test("what is played passes over waiting, stops at the end, and does not jump after sleep", () => {
  const still: Playing = { position: 100, playing: false, speed: 4, skip: false };
  const nowhere = (p: number): number => p;
  expect(played(still, 50, 1000, nowhere)).toBe(still);
  const going = { ...still, playing: true };
  expect(played(going, 50, 1000, nowhere).position).toBe(300);
  expect(played(going, 60_000, 10 ** 6, nowhere).position).toBe(100 + 4 * 250);
  expect(played(going, 250, 1000, nowhere)).toMatchObject({ position: 1000, playing: false });
  const over = (p: number): number => (p > 150 && p < 900 ? 900 : p);
  expect(played({ ...going, skip: true }, 50, 1000, over).position).toBe(900);
  expect(played(going, 50, 1000, over).position).toBe(300);
});

test("the runs of a block that a lost machine had begun are void, unless it goes on itself", () => {
  const state = (at: number, name: "claimed" | "lost"): LiveEvent => ({ k: "state", at, state: name });
  const plan = (at: number, block: number): LiveEvent => ({ k: "plan", at, blocks: 2, pilot: false, reason: "", left: 4, block });
  const end = (at: number, arm: number, block: number): LiveEvent => ({ k: "end", at, arm, block, attempt: 0, outcome: "record" });
  const made = (at: number, arm: number, block: number): LiveEvent[] => [
    begin(at, arm, block), phase(at + 1, "window"), edge(at + 2, true), edge(at + 5, false), end(at + 9, arm, block),
  ];
  const first = [state(0, "claimed"), plan(1, 0), ...made(10, 0, 0), ...made(20, 1, 0), plan(30, 1), ...made(40, 0, 1), begin(50, 1, 1), state(60, "lost")];
  const of = (more: LiveEvent[]): Recording => {
    const recording = new Recording();
    recording.add(line([1, 0, first]));
    recording.add(line([2, 0, [state(70, "claimed"), plan(80, 1), ...more]]));
    return recording;
  };
  // Another one begins the block anew: two runs have the same name, of which the later one counts.
  const anew = of([...made(90, 0, 1)]);
  expect(anew.runs.map((r) => r.status)).toEqual(["done", "done", "void", "void", "done"]);
  expect(tapeOf(anew, meant(anew.runs, { arm: 0, block: 1, attempt: 0 }) ?? (anew.runs[0] as never)).events[0]?.event.at).toBe(90);
  // The same one goes on, and says what it has.
  expect(of([end(81, 0, 1), begin(90, 1, 1)]).runs.map((r) => r.status)).toEqual(["done", "done", "done", "void", "running"]);
});
