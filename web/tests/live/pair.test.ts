import { expect, test } from "vitest";
import { addressOf, choiceOf } from "../../src/live/Beside";
import { narrowed, placeOn, reachOf } from "../../src/live/Board";
import { topOf } from "../../src/live/chart";
import {
  between, classesOf, classOf, figureOf, intervalOf, lessOf, meant, meantBy, perToken, promptsOf, readChosen, sumOf, written,
} from "../../src/live/pair";
import { TapePlayer, tapeOf } from "../../src/live/tape";
import { armName, clock, duration, ends, joules, noInterval } from "../../src/live/words";
import { recorded } from "./made";

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
    const sum = sumOf(new TapePlayer(tape).go(Infinity), "gpu");
    const found = recording.end.cells[run.arm]?.[0]?.energy["gpu"]?.value ?? NaN;
    // The last tokens are told a little before the end.
    expect(Math.abs((perToken(sum) ?? NaN) / found - 1)).toBeLessThan(0.02);
    expect(classesOf(tape)).toEqual(["gpu", "cpu"]);
    expect(intervalOf(tape, run.arm, "gpu")?.value).toBeGreaterThan(0);
  }
});

test("what can be compared is said, and what cannot", () => {
  expect(classOf(["gpu", "cpu"], ["cpu", "gpu"], "cpu")).toBe("cpu");
  expect(classOf(["gpu"], ["estimated"], "gpu")).toBeNull();
  const sum = (j: number, tokens: number) => ({ j, forTokens: j, tokens, w: 0, estimated: false });
  expect(lessOf(sum(50, 100), sum(100, 100))).toBe(50);
  expect(lessOf(sum(50, 3), sum(100, 100))).toBeNull();
  expect(perToken(sum(5, 0))).toBeNull();
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
  expect(between(figure(1, 0.1), figure(2, 0.1))).toEqual({ kind: "less", left: true, percent: 50 });
  expect(between(figure(2, 0.1), figure(1, 0.1))).toEqual({ kind: "less", left: false, percent: 50 });
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

test("of two runs with one name the later one is meant", () => {
  const runs = [{ arm: 0, block: 0, attempt: 0, n: 1 }, { arm: 1, block: 0, attempt: 0, n: 2 }, { arm: 0, block: 0, attempt: 0, n: 3 }];
  expect(meant(runs, { arm: 0, block: 0, attempt: 0 })?.n).toBe(3);
  expect([meant(runs, { arm: 0, block: 0, attempt: 1 }), meant(runs, "now"), meant(runs, null)]).toEqual([null, null, null]);
  expect(meantBy(runs).map((r) => r.n)).toEqual([2, 3]);
});

test("where there is no interval it is said, and whether one may come", () => {
  expect([noInterval(false), noInterval(true)]).toEqual(["no interval yet", "no interval"]);
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
  expect(narrowed({ value: 10, low: 9.5, high: 10.5 }, { value: 10, low: 8, high: 12 })).toBe("± 5.0 %, one block before ± 20 %");
  expect(narrowed({ value: 10 }, null)).toBe("");
});

test("amounts and times are said as elsewhere", () => {
  expect([joules(0), joules(1234.56), joules(123456.7), joules(2.5e8)]).toEqual([["0.0", "J"], ["1\u202f234.6", "J"], ["123.457", "kJ"], ["250.000", "MJ"]]);
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
