import { expect, test } from "vitest";
import { LATEST, Samples, STRETCHES } from "../../src/live/samples";

function filled(n: number, value: (i: number) => number = (i) => i % 100): Samples {
  const found = new Samples();
  for (let i = 0; i < n; i++) found.push(1000 + 100 * i, value(i));
  return found;
}

test("the latest are kept as they came", () => {
  const found = filled(LATEST + 1000);
  expect([found.count, found.kept, found.oldest]).toEqual([LATEST + 1000, LATEST, 1000 + 100 * 1000]);
  const from = 1000 + 100 * (LATEST + 900);
  const { at, w } = found.between(from, from + 1000, 500);
  // And one on either side.
  expect(at).toEqual([...Array(12).keys()].map((i) => from - 100 + 100 * i));
  expect(w).toEqual(at.map((t) => ((t - 1000) / 100) % 100));
});

test("memory does not grow with hours", () => {
  const found = filled(LATEST);
  const { bytes } = found;
  for (let i = LATEST; i < 60 * LATEST; i++) found.push(1000 + 100 * i, 1);
  expect(found.bytes).toBe(bytes);
});

test("of many points the least and the greatest are drawn", () => {
  const found = filled(8000, (i) => (i === 4321 ? 999 : i === 4322 ? -5 : 100));
  const { at, w } = found.between(0, 10 ** 9, 300);
  expect(at.length).toBeLessThanOrEqual(600);
  expect([Math.max(...w), Math.min(...w)]).toEqual([999, -5]);
  expect([...at].sort((a, b) => a - b)).toEqual(at);
});

test("the whole run is there in stretches, however long it is", () => {
  const n = 100_000;
  const found = filled(n, (i) => (i === 7 ? 5000 : 50 + (i % 2)));
  const { at, w } = found.between(0, 10 ** 9, 2 * STRETCHES);
  expect(at.length).toBeLessThanOrEqual(2 * STRETCHES);
  expect(Math.max(...w)).toBe(5000);
  expect(Math.min(...w)).toBe(50);
  // Its first and last points are drawn near where they were.
  expect((at[0] ?? 0) - 1000).toBeLessThan(0.01 * 100 * n);
  expect(1000 + 100 * n - (at.at(-1) ?? 0)).toBeLessThan(0.01 * 100 * n);
});

test("a clock that is set back leaves no line that goes back", () => {
  const found = new Samples();
  for (const at of [1000, 1100, 400, 1200]) found.push(at, at);
  expect(found.between(0, 2000, 10).at).toEqual([1000, 1100, 1100, 1200]);
});

test("a copy is another", () => {
  const found = filled(300);
  const copy = found.copy();
  for (let i = 0; i < 20_000; i++) found.push(10 ** 6 + i, 7);
  expect(copy).toEqual(filled(300));
});

test("where nothing was read no line is drawn", () => {
  const found = new Samples();
  for (const at of [0, 100, 200, 5000, 5100]) found.push(at, 400);
  expect(found.between(0, 9000, 100)).toEqual({ at: [0, 100, 200, 201, 5000, 5100], w: [400, 400, 400, NaN, 400, 400] });
  // Nor in the whole of a long run.
  for (let i = 0; i < 2 * LATEST; i++) found.push(10_000 + 100 * i, 100);
  const { w } = found.between(0, 10_000, 10 ** 6);
  expect(w.filter((value) => Number.isNaN(value)).length).toBeGreaterThan(0);
  expect(Number.isNaN(w[0])).toBe(false);
});
