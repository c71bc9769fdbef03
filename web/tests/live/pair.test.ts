import { expect, test } from "vitest";
import { addressOf, choiceOf } from "../../src/live/Beside";
import { narrowed, placeOn, reachOf } from "../../src/live/Board";
import { topOf } from "../../src/live/chart";
import {
  against, between, classesOf, classOf, figureOf, intervalOf, meant, meantBy, perToken, promptsOf, readChosen, sumOf, written,
} from "../../src/live/pair";
import { TapePlayer, tapeOf } from "../../src/live/tape";
import type { EndEvent, LiveEvent } from "../../src/live/events";
import { madeOn, standingOf } from "../../src/live/Half";
import { apply, empty, type Status } from "../../src/live/model";
import { statusIn, verdict } from "../../src/live/Pair";
import { Recording } from "../../src/live/recording";
import { t } from "../../src/live/text";
import { armName, clock, duration, ends, joules, noInterval, noUncertainty, watts } from "../../src/live/words";
import { begin, edge, power, recorded, tokens } from "./made";

test("the address holds which runs stand side by side", () => {
  const id = `q${"0a".repeat(10)}`;
  const href = addressOf("http://here/live/x?a=1", { left: { arm: 3, block: 0, attempt: 1 }, right: "now", with: id });
  expect(href).toBe(`http://here/live/x?a=1&left=3.0.1&right=now&with=${id}`);
  expect(choiceOf(new URL(href).search)).toEqual({ left: { arm: 3, block: 0, attempt: 1 }, right: "now", with: id });
  expect(addressOf(href, null)).toBe("http://here/live/x?a=1");
  for (const nothing of ["", "?left=", "?left=x", "?left=1", "?right=1.2.3.4", "?left=-1.0", "?with=../x"]) expect(choiceOf(nothing)).toBeNull();
  expect(written(readChosen("12.3") ?? "now")).toBe("12.3.0");
});

test("the figures of two runs are those of their windows, and near their records'", () => {
  const recording = recorded();
  const made = recording.runs.filter((run) => run.status === "done" && run.block === 0);
  for (const run of made) {
    const tape = tapeOf(recording, run);
    const played = new TapePlayer(tape).go(Infinity);
    const sum = sumOf(played, "gpu", played.ended?.at ?? NaN);
    const found = recording.end.cells[run.arm]?.[0]?.energy["gpu"]?.value ?? NaN;
    // The last tokens are told a little before the end.
    expect(Math.abs((perToken(sum) ?? NaN) / found - 1)).toBeLessThan(0.02);
    expect(classesOf(tape)).toEqual(["gpu", "cpu"]);
    expect(intervalOf(tape, run.arm, "gpu")?.value).toBeGreaterThan(0);
  }
});

test("of a device that is not read any more neither power nor energy is said", () => {
  const model = empty();
  const told = [begin(0), edge(20, true), power(900, 300, 270, "gpu0", 264), power(900, 300, 270, "gpu1", 264)];
  for (const event of [...told, power(6900, 300, 2070, "gpu0", 2064), tokens(7000, 600, 100)]) apply(model, event);
  expect(sumOf(model, "gpu", 7000)).toMatchObject({ w: NaN, j: NaN, forTokens: NaN });
  // Nor once the window is over, nor in the rest after it.
  for (const event of [power(9990, 300, 2997, "gpu0", 2991), edge(10_000, false), tokens(10_001, 990, 100)]) apply(model, event);
  expect(sumOf(model, "gpu", 10_001)).toMatchObject({ j: NaN, forTokens: NaN });
  expect(perToken(sumOf(model, "gpu", 20_000))).toBeNull();
  // What is all read is known, and no power once it is old.
  const whole = empty();
  for (const event of [...told, edge(1000, false), tokens(1001, 90, 100)]) apply(whole, event);
  expect(sumOf(whole, "gpu", 1001)).toMatchObject({ w: 600, j: 528, forTokens: 528 });
  expect(sumOf(whole, "gpu", 9000)).toMatchObject({ w: NaN, j: 528 });
});

test("what can be compared is said, and what cannot", () => {
  expect(classOf(["gpu", "cpu"], ["cpu", "gpu"], "cpu")).toBe("cpu");
  expect(classOf(["gpu"], ["estimated"], "gpu")).toBeNull();
  const sum = (j: number, tokens: number) => ({ j, forTokens: j, tokens, w: 0, estimated: false });
  expect(perToken(sum(5, 0))).toBeNull();
  expect(perToken(sum(NaN, 5))).toBeNull();
  const told = (settings: Record<string, unknown>, block: number, requests = "", model = "m") => ({ settings, block, requests, model });
  expect(promptsOf(told({ "engine.x": 1 }, 0), told({ "engine.x": 2 }, 0), true)).toBe("same");
  expect(promptsOf(told({ "engine.x": 1 }, 0), told({ "engine.x": 1 }, 1), true)).toBe("order");
  expect(promptsOf(told({ "workload.dataset": "a" }, 0), told({ "workload.dataset": "b" }, 0), true)).toBe("other");
  expect(promptsOf(told({}, 0), told({}, 0), false)).toBe("unknown");
  expect(promptsOf(told({}, 0, "a"), told({}, 0, "a"), false)).toBe("campaigns");
  // Lists are made for each model: where it is another one, only their hashes can tell.
  expect(promptsOf(told({}, 0), told({}, 0, "", "n"), true)).toBe("models");
  expect(promptsOf(told({}, 0, "a"), told({}, 0, "a", "n"), true)).toBe("same");
  expect(promptsOf(told({}, 0, "a"), told({}, 0, "b"), true)).toBe("other");
  expect(promptsOf(told({}, 0, "a"), told({}, 2, "a"), true)).toBe("order");
});

test("of two records nothing is told where their intervals overlap", () => {
  const figure = (value: number, u: number) => ({ value, low: value - u, high: value + u });
  // From 1.1 of 1.9 to 0.9 of 2.1, rounded outwards.
  expect(between(figure(1, 0.1), figure(2, 0.1))).toEqual({ kind: "less", left: true, low: "42", high: "58" });
  expect(between(figure(2, 0.1), figure(1, 0.1))).toEqual({ kind: "less", left: false, low: "42", high: "58" });
  expect(between(figure(1, 0), figure(2, 0))).toMatchObject({ low: "50", high: "50" });
  // Never 0 %, and where they touch nothing.
  expect(between(figure(1, 0.001), figure(1.005, 0.001))).toMatchObject({ low: "0.2", high: "0.7" });
  expect(between(figure(1, 0.1), figure(1.2, 0.1))).toEqual({ kind: "overlap" });
  expect(between({ value: 0, low: 0, high: 0.5 }, figure(2, 0.5))).toMatchObject({ low: "66", high: "100" });
  expect(between(figure(1, 0.3), figure(1.5, 0.2))).toEqual({ kind: "overlap" });
  expect(between(figure(1, 0.5), { value: 9 })).toEqual({ kind: "no_interval" });
  expect(between({ value: 1, low: null, high: null }, figure(9, 1))).toEqual({ kind: "no_interval" });
});

test("a run that has ended has the figure of its record and of no other class", () => {
  const recording = recorded();
  const run = recording.runs.find((r) => r.status === "done");
  if (!run) throw new Error("no run");
  const player = new TapePlayer(tapeOf(recording, run));
  expect(figureOf(player.go(1000), "gpu")).toBeNull();
  expect(figureOf(player.go(Infinity), "gpu")).toEqual(recording.end.cells[run.arm]?.[run.block]?.energy["gpu"]);
  expect([figureOf(player.model, "cpu"), figureOf(player.model, null)]).toEqual([null, null]);
});

const ended = (value: number, more: Partial<EndEvent> = {}): EndEvent => ({
  k: "end", at: 9, arm: 0, block: 0, attempt: 0, outcome: "record", energy_per_output_token_j: { gpu: { value, low: 0.95 * value, high: 1.05 * value } }, ...more,
});
const side = (arm: number, found: EndEvent | null, status: Status = "done") => ({
  key: { arm, block: 0, attempt: 0 }, arm: undefined, status, model: { ...empty(), ended: found },
});

test("what two records tell is a range, and before there are both nothing", () => {
  const said = (a: EndEvent | null, b: EndEvent | null, deviceClass = "gpu") => verdict(side(0, a), side(1, b), deviceClass, true);
  expect(said(ended(1), ended(2))).toBe("By their records 1 used 44 to 55 % less energy per token than 2 in these two runs.");
  expect(said(ended(2), ended(1))).toContain("2 used 44 to 55 % less energy per token than 1");
  expect(said(ended(1), ended(1.1))).toContain("uncertainties of these two runs overlap");
  expect(said(ended(1), ended(2, { energy_per_output_token_j: { gpu: { value: 2 } } }))).toContain("nothing can be told");
  for (const words of [said(null, null), said(null, null, "estimated"), said(ended(1), null)]) expect(words).not.toMatch(/\d % less/);
  expect(said(null, null)).toContain("tens of per cent");
  expect([t("by_readings"), t("by_estimates")].every((words) => words.includes("uncertainty is not known"))).toBe(true);
});

test("a run that does not count is held against nothing", () => {
  const found = (a: ReturnType<typeof side>, b: ReturnType<typeof side>) => verdict(a, b, "gpu", true);
  for (const consequence of ["void", "exclude"] as const) {
    expect(found(side(0, ended(1, { consequence })), side(1, ended(2)))).toBe("1, block 1 does not count: nothing can be told from these two runs.");
    expect(found(side(0, ended(1)), side(1, ended(2, { consequence })))).toContain("2, block 1 does not count");
    expect(found(side(0, ended(1, { consequence })), side(1, ended(2, { consequence })))).toContain("Neither of these two runs counts");
  }
  // It came out well, but another run of its block was void.
  const [voided, counted] = [side(0, ended(1), "void"), side(1, ended(2))];
  expect(found(voided, counted)).toContain("does not count");
  expect([standingOf(voided.model, "void", "over"), standingOf(counted.model, "done", "over")]).toEqual([t("beside.block_void"), t("beside.over")]);
});

test("a run whose block was made anew is void, whenever that becomes known", () => {
  const end = (arm: number, attempt: number, consequence: "info" | "void" = "info"): LiveEvent => ({ k: "end", at: 4, arm, block: 0, attempt, outcome: "record", consequence });
  const recording = new Recording();
  const add = (...events: LiveEvent[]) => recording.add(new TextEncoder().encode(JSON.stringify([1, 0, events])));
  add(begin(0, 0, 0), end(0, 0));
  const [first] = recording.runs;
  if (!first) throw new Error("no run");
  expect([first.status, statusIn(recording.end, first)]).toEqual(["done", "done"]);
  add(begin(5, 1, 0), end(1, 0, "void"));
  expect(recording.runs.map((run) => run.status)).toEqual(["void", "void"]);
  expect(statusIn(recording.end, first)).toBe("void");
  add(begin(8, 0, 0, 1), end(0, 1));
  expect(recording.runs.map((run) => run.status)).toEqual(["void", "void", "done"]);
  expect([statusIn(recording.end, first), statusIn({ cells: [] }, first)]).toEqual(["void", "void"]);
});

test("runs of different machines or meters are not held against each other", () => {
  const on = (hardware: string, gpu = "nvml") => ended(1, { hardware, meters: { gpu } });
  const alike = (a: EndEvent, b: EndEvent, same: boolean) => against(a, b, "gpu", same);
  expect([alike(on("A"), on("A"), false), alike(on("A"), on("B"), true), alike(on("A"), on("B"), false)]).toEqual(["fine", "machines", "machines"]);
  // Where nothing is told, one campaign is of one machine.
  expect([alike(ended(1), ended(2), true), alike(ended(1), ended(2), false)]).toEqual(["fine", "machines_unknown"]);
  expect([alike(on("A"), ended(2), true), alike(on(""), on("A"), false)]).toEqual(["machines_unknown", "machines_unknown"]);
  expect([alike(on("A"), on("A", "amd"), true), alike(on("A"), ended(2, { hardware: "A" }), true)]).toEqual(["meters", "meters_unknown"]);
  expect(alike(ended(1, { hardware: "A" }), ended(2, { hardware: "A" }), false)).toBe("meters_unknown");
  // Another class's meters do not matter.
  expect(against(ended(1, { hardware: "A", meters: { gpu: "nvml", cpu: "rapl" } }), on("A"), "gpu", false)).toBe("fine");
  expect(verdict(side(0, on("A\u202e")), side(1, on("B")), "gpu", true)).toBe("They were made on different machines (A\\u202e; B): they are not compared.");
  expect(verdict(side(0, on("A")), side(1, on("A", "amd")), "gpu", false)).toBe("They were read by different meters (nvml; amd): they are not compared.");
  expect([madeOn(on("H100"), "gpu"), madeOn(on("H100"), "cpu"), madeOn(ended(1), "gpu")]).toEqual(["On H100, read by nvml", "On H100", ""]);
});

test("of two runs with one name the later one is meant", () => {
  const runs = [{ arm: 0, block: 0, attempt: 0, n: 1 }, { arm: 1, block: 0, attempt: 0, n: 2 }, { arm: 0, block: 0, attempt: 0, n: 3 }];
  expect(meant(runs, { arm: 0, block: 0, attempt: 0 })?.n).toBe(3);
  expect([meant(runs, { arm: 0, block: 0, attempt: 1 }), meant(runs, "now"), meant(runs, null)]).toEqual([null, null, null]);
  expect(meantBy(runs).map((r) => r.n)).toEqual([2, 3]);
});

test("where there is no interval it is said, and whether one may come", () => {
  expect([noInterval(false), noInterval(true)]).toEqual(["no interval yet", "no interval"]);
  expect([noUncertainty(1, false), noUncertainty(1, true), noUncertainty(3, false), noUncertainty(null, true)]).toEqual([
    "one block: no uncertainty yet", "one block: no uncertainty", "no uncertainty yet", "no uncertainty",
  ]);
});

test("intervals lie on one line, which is logarithmic where they are far apart", () => {
  const near = reachOf([{ value: 2, low: 1.9, high: 2.1 }, { value: 2.4 }], [{ value: 2, low: 0.1, high: 40 }]);
  expect(near.log).toBe(false);
  expect([placeOn(near, near.low), placeOn(near, near.high), placeOn(near, 99)]).toEqual([0, 1, 1]);
  // What was absurdly wide before does not press the rest together.
  expect(near.high).toBeLessThan(3);
  const far = reachOf([{ value: 0.1, low: 0.09, high: 0.11 }, { value: 10, low: 9, high: 11 }], []);
  expect(far.log).toBe(true);
  expect(placeOn(far, 1)).toBeCloseTo(0.5, 1);
  expect(placeOn(reachOf([{ value: 1 }], []), 1)).toBeGreaterThan(0);
  expect(narrowed({ value: 10, low: 9.5, high: 10.5 }, { value: 10, low: 8, high: 12 })).toBe("± 5.0 %, before ± 20 %");
  expect(narrowed({ value: 10 }, null)).toBe("");
  // The lower end is cut at 0; the upper one says how much.
  expect(narrowed({ value: 10, low: 0, high: 30 }, null)).toBe("± 200 %");
  expect(narrowed({ value: 10, low: 9.9996, high: 10.0004 }, null)).toBe("± 0.0040 %");
  expect(narrowed({ value: 10, low: 10, high: 10 }, null)).toBe("");
});

test("amounts and times are said as elsewhere", () => {
  expect([joules(0), joules(1234.56), joules(123456.7), joules(2.5e8)]).toEqual([["0", "J"], ["1.23", "kJ"], ["123", "kJ"], ["250", "MJ"]]);
  expect([joules(0.01234), joules(999.4), joules(999.6), joules(7.2e12)]).toEqual([["0.0123", "J"], ["999", "J"], ["1.00", "kJ"], ["7\u202f200", "GJ"]]);
  expect([watts(5.04), watts(45.67), watts(1234)]).toEqual(["5.0", "45.7", "1\u202f230"]);
  expect([duration(5900), duration(65_000), duration(3_660_000)]).toEqual(["5 s", "1 min 05 s", "1 h 01 min"]);
  expect([clock(61_000), clock(3_661_000)]).toEqual(["1:01", "1:01:01"]);
  expect(ends({ value: 0.21347, low: 0.2051, high: 0.2218 })).toEqual({ value: "0.2135", low: "0.2051", high: "0.2218" });
  expect(ends({ value: 0.21345, low: null, high: null })).toEqual({ value: "0.213", low: null, high: null });
  const arm = { arm_id: "a", experiment_id: "e", label: "l\u202e", backend: "vllm", model: "Q/M" };
  expect([armName(arm, 0), armName({ ...arm, settings: { "engine.max_batch_size": 8, model: "Q/M" } }, 0), armName(undefined, 4)]).toEqual(["l\\u202e", "max batch size 8, M", "5"]);
});

test("an axis holds still", () => {
  expect([topOf(1, [200]), topOf(300, [250]), topOf(300, [60]), topOf(300, [])]).toEqual([300, 300, 80, 300]);
});
