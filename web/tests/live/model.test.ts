import { expect, test } from "vitest";
import { ANSWERS, LETTERS, NO_ANSWERS, shown, withPiece } from "../../src/live/answers";
import { eventsOf, type LiveEvent } from "../../src/live/events";
import {
  apply, blocksOf, cellOf, copyOf, countOf, DEVICES, empty, FLAGS, isOver, type Model, PHASES, phaseOf,
} from "../../src/live/model";
import { LATEST } from "../../src/live/samples";
import { begin, edge, events, held, phase, power, text, tokens } from "./made";

function after(found: Iterable<LiveEvent>, model = empty()): Model {
  for (const event of found) apply(model, event);
  return model;
}

test("a whole campaign ends as its log says", () => {
  const model = after(events);
  expect(model.state?.state).toBe("done");
  expect([model.name, model.arms.length, blocksOf(model)]).toEqual(["batching, small models", 3, 3]);
  expect(countOf(model.cells)).toEqual({ running: 0, done: 7, excluded: 1, void: 0, failed: 1 });
  // The second attempt of what was void counts.
  expect(cellOf(model, 1, 1)).toMatchObject({ status: "done", attempt: 1 });
  expect(cellOf(model, 2, 1)).toMatchObject({ status: "failed", message: "out_of_memory: the engine ran out of GPU memory" });
  expect(model.tables.map((t) => [t.device_class, t.provisional])).toEqual([["gpu", false]]);
  const last = model.tables[0]?.rows[1]?.energy_per_output_token_j;
  const before = model.before[0]?.rows[1]?.energy_per_output_token_j;
  const width = (i: typeof last): number => (i?.high ?? NaN) - (i?.low ?? NaN);
  expect(width(last)).toBeLessThan(width(before));
});

test("what is known is a function of the events, wherever one goes on from a copy", () => {
  for (const at of [0, 1, 57, 400, 801, events.length - 1]) {
    const model = after(events.slice(0, at));
    const copy = copyOf(model);
    after(events.slice(at), model);
    // The copy was not touched by what came after it.
    expect(held(copy)).toBe(held(after(events.slice(0, at))));
    expect(held(after(events.slice(at), copy))).toBe(held(model));
  }
});

test("energy and tokens of windows are what is told of them", () => {
  const model = after([
    begin(0),
    phase(0, "idle"),
    power(1000, 100, 100),
    tokens(1000, 10),
    phase(1500, "window"),
    edge(1500, true),
    power(2000, 100, 200, "gpu0", 50),
    power(2000, 200, 400, "gpu1", 100),
    tokens(2100, 30, 20),
    power(3000, 300, 400, "gpu0", 250),
  ]);
  expect(isOver(model)).toBe(false);
  expect(model.devices.map((d) => [d.j, d.windowsJ])).toEqual([[400, 250], [400, 100]]);
  // For the tokens that are told, not for those that come.
  expect(model.tokens).toMatchObject({ n: 30, windowsN: 20, windowsJ: { gpu: 150 } });
  after([edge(2900, false), edge(2900, true, 1), edge(4000, false, 1), phase(4000, "quality")], model);
  expect(model.windows).toEqual([{ from: 1500, to: 2900 }, { from: 2900, to: 4000 }]);
  expect([isOver(model), phaseOf(model)]).toEqual([true, "quality"]);
});

test("who goes on with a campaign says which runs of a block that is not whole count", () => {
  const plan = (block: number | null): LiveEvent => ({ k: "plan", at: 5, blocks: 3, pilot: false, reason: "", left: 1, block });
  const end = (arm: number, block: number): LiveEvent => ({ k: "end", at: 4, arm, block, attempt: 0, outcome: "record" });
  const made = [begin(1, 0, 0), end(0, 0), begin(1, 1, 0), end(1, 0), begin(2, 0, 1), end(0, 1)];
  const model = after([{ k: "state", at: 0, state: "claimed" }, plan(0), ...made]);
  // Its own later plans take nothing back.
  expect(countOf(after([plan(1)], model).cells).done).toBe(3);
  after([{ k: "state", at: 6, state: "lost" }, { k: "state", at: 7, state: "claimed" }, plan(1)], model);
  expect(countOf(model.cells).done).toBe(2);
  // Already when its machine is lost, before anybody goes on.
  const lost = after([{ k: "state", at: 0, state: "claimed" }, plan(0), ...made, plan(1), end(1, 1), { k: "state", at: 6, state: "lost" }]);
  expect([countOf(lost.cells).done, cellOf(lost, 0, 1), cellOf(lost, 1, 1)]).toEqual([2, undefined, undefined]);
  expect(countOf(after([end(0, 1)], model).cells).done).toBe(3);
});

test("where a run is void, the runs of its block before it count no more", () => {
  const end = (arm: number, block: number, attempt = 0, consequence: "info" | "exclude" | "void" = "info"): LiveEvent => ({ k: "end", at: 4, arm, block, attempt, outcome: "record", consequence });
  const statuses = (model: Model) => [0, 1, 2].map((arm) => cellOf(model, arm, 1)?.status);
  const model = after([begin(0, 0, 0), end(0, 0), begin(1, 0, 1), end(0, 1), begin(2, 2, 1), end(2, 1, 0, "exclude"), begin(3, 1, 1), end(1, 1, 0, "void")]);
  expect([statuses(model), cellOf(model, 0, 0)?.status]).toEqual([["void", "void", "void"], "done"]);
  expect(countOf(model.cells)).toMatchObject({ done: 1, excluded: 0, void: 3 });
  // Its block is made anew: what comes now counts.
  after([begin(5, 1, 1, 1), end(1, 1, 1), begin(6, 0, 1, 1), end(0, 1, 1)], model);
  expect(statuses(model)).toEqual(["done", "done", "void"]);
});

test("a run that is broken off waits again", () => {
  const lost: LiveEvent = { k: "state", at: 9, state: "lost" };
  const model = after([begin(0, 1, 2), lost]);
  expect([cellOf(model, 1, 2), model.run]).toEqual([undefined, null]);
  // One that begins while another goes on takes its place.
  const next = after([begin(0, 0, 0), begin(5, 1, 0)]);
  expect(countOf(next.cells).running).toBe(1);
  expect(cellOf(next, 0, 0)).toBeUndefined();
});

test("what comes without end is kept within bounds", () => {
  const model = empty();
  apply(model, begin(0));
  for (let i = 0; i < 3 * LATEST; i++) apply(model, power(i * 100, i % 500, i));
  for (let i = 0; i < 200; i++) apply(model, power(i, 1, 1, `device-${i}`));
  for (let i = 0; i < 3 * PHASES; i++) apply(model, phase(i, i % 2 ? "window" : "idle"));
  for (let i = 0; i < 200; i++) apply(model, { k: "flag", at: i, flag: `f${i}`, message: "" });
  expect(model.samples.get("gpu0")?.kept).toBe(LATEST);
  expect([model.devices.length, model.samples.size, model.phases.length, model.flags.length]).toEqual([DEVICES, DEVICES, PHASES, FLAGS]);
  apply(model, begin(1, 10 ** 7, 0));
  apply(model, begin(1, 0, 10 ** 7));
  expect([model.cells.length, blocksOf(model)]).toEqual([1, 1]);
});

test("answers have their places, and those for which there is none are left out whole", () => {
  let found = NO_ANSWERS;
  for (let i = 0; i < ANSWERS + 2; i++) found = withPiece(found, text(`r${i}`, `begin ${i} `));
  expect(found.kept.map((a) => a.request)).toEqual([...Array(ANSWERS).keys()].map((i) => `r${i}`));
  found = withPiece(found, text("r2", "end", true));
  // It had begun before there was a place.
  found = withPiece(found, text(`r${ANSWERS}`, "middle"));
  expect(found.kept[2]).toMatchObject({ request: "r2", text: "begin 2 end", ended: true });
  found = withPiece(found, text(`r${ANSWERS}`, "end", true));
  found = withPiece(found, text("new", "whole"));
  expect(found.kept[2]).toMatchObject({ request: "new", text: "whole", ended: false });
  expect(found.skipped).toEqual([`r${ANSWERS + 1}`]);
});

test("an answer is kept to its end, and not from the middle of a character", () => {
  let found = NO_ANSWERS;
  for (let i = 0; i < 40; i++) found = withPiece(found, text("r", "😀".repeat(60)));
  const answer = found.kept[0];
  expect(answer?.cut).toBe(true);
  expect(answer?.text.length).toBeLessThanOrEqual(LETTERS);
  expect(shown(answer?.text ?? "")).not.toContain("\\u");
});

test("text stays text: what controls, hides or reorders it is seen", () => {
  expect(shown("a\u202eb\u2066c\u200bd\u0007e\u001b[31mf\ufeff\u0000")).toBe("a\\u202eb\\u2066c\\u200bd\\x07e\\x1b[31mf\\ufeff\\x00");
  expect(shown("one\r\ntwo\rthree\n\tfour")).toBe("one\ntwo\nthree\n\tfour");
  expect(shown("<script>alert(1)</script> [x](javascript:y)")).toBe("<script>alert(1)</script> [x](javascript:y)");
  expect(shown(`Z${"\u0301".repeat(50)}a`)).toBe(`Z${"\u0301".repeat(3)}a`);
  expect(shown("\ud800")).toBe("\\ud800");
  expect(shown("ünï — 漢字 العربية")).toBe("ünï — 漢字 العربية");
});

test("what is no event is none", () => {
  expect(eventsOf([null, 7, {}, { k: "new", at: 1 }, { k: "begin", at: "x" }, { k: "begin", at: Infinity }])).toEqual([]);
  expect(eventsOf("[]")).toEqual([]);
  expect(eventsOf([begin(1)])).toEqual([begin(1)]);
});

test("energy of windows is not known once a part of one was not read, for the tokens neither", () => {
  const known = (found: Model): number | undefined => found.tokens?.windowsJ["gpu"];
  const model = after([begin(0), power(10, 100, 0), edge(20, true), power(1000, 100, 99, "gpu0", 98), tokens(1001, 5, 5)]);
  expect(known(model)).toBe(98);
  // The meter is silent while tokens go on.
  expect(known(after([tokens(2600, 9, 9)], model))).toBeNaN();
  expect(known(after([power(2700, 100, 99, "gpu0", 270), tokens(2701, 10, 10)], model))).toBe(270);
  expect(known(after([power(6000, 100, 99), tokens(6001, 20, 20)], model))).toBeNaN();
  // In a rest nothing is read, and no token comes.
  const rested = after([begin(0), edge(20, true), power(1000, 100, 99, "gpu0", 98), edge(1010, false), tokens(5000, 5, 5)]);
  expect(known(rested)).toBe(98);
});
