import { expect, test } from "vitest";
import { scale, spanOf, ticks, tickText } from "../src/charts/scales";

const log = { kind: "log", positive: false } as const;
const linear = { kind: "linear", positive: false } as const;

test("pixels of one value and of all are the same, and go back", () => {
  for (const [kind, span] of [["log", [0.003, 70]], ["linear", [-2, 11]]] as const) {
    const found = scale(kind, span, [40, 840]);
    const values = Float64Array.from({ length: 50 }, (_, i) => span[0] + ((span[1] - span[0]) * (i + 1)) / 51);
    const all = found.all(values);
    values.forEach((value, i) => {
      expect(all[i]).toBeCloseTo(found(value), 2);
      expect(found.invert(found(value))).toBeCloseTo(value, 9);
    });
    expect(found(span[0])).toBeCloseTo(40, 9);
    expect(found(span[1])).toBeCloseTo(840, 9);
  }
});

test("a logarithm has no place for zero and below", () => {
  const [zero, below, fine] = scale("log", [1, 100], [0, 100]).all(Float64Array.of(0, -1, 10));
  expect([zero, below]).toEqual([NaN, NaN]);
  expect(fine).toBeCloseTo(50);
});

test("an axis has room for all values; a linear one begins at zero", () => {
  const [low, high] = spanOf(Float64Array.of(2, NaN, 50, -3, 0), log);
  expect(low).toBeLessThan(2);
  expect(low).toBeGreaterThan(1);
  expect(high).toBeGreaterThan(50);
  expect(spanOf(Float64Array.of(20, 50), linear)[0]).toBe(0);
  const [below, above] = spanOf(Float64Array.of(-2, -1), linear);
  expect(below).toBeLessThan(-2);
  expect(above).toBeGreaterThan(0);
  const [from, to] = spanOf(Float64Array.of(10, 20), log, Float64Array.of(12, 15));
  expect([from, to]).toEqual([expect.closeTo(5 / 7 ** 0.05), expect.closeTo(35 * 7 ** 0.05)]);
  expect(spanOf(Float64Array.of(10, 20), linear, Float64Array.of(12, NaN))[0]).toBeLessThan(-2);
  for (const kind of ["log", "linear"] as const) {
    for (const values of [Float64Array.of(), Float64Array.of(NaN), Float64Array.of(7)]) {
      const [from, to] = spanOf(values, { kind, positive: true });
      expect(to).toBeGreaterThan(from);
    }
  }
});

test("intervals stretch an axis only so far, and not below what can be", () => {
  const [values, widths] = [Float64Array.of(5, 37), Float64Array.of(33, 263)];
  expect(spanOf(values, { kind: "linear", positive: true }, widths)).toEqual([0, expect.closeTo(74 * 1.05)]);
  const [below, above] = spanOf(values, linear, widths);
  expect(below).toBeLessThan(-28);
  expect(above).toBeLessThan(90);
  const [low, high] = spanOf(values, { kind: "log", positive: true }, widths);
  expect(low).toBeGreaterThan(4);
  expect(high).toBeLessThan(400);
});

test("ticks are round, within the axis, and not too many", () => {
  expect(ticks("log", [0.8, 120], 12)).toEqual([1, 2, 5, 10, 20, 50, 100]);
  expect(ticks("log", [0.8, 120], 5)).toEqual([1, 3, 10, 30, 100]);
  expect(ticks("log", [0.8, 120], 3)).toEqual([1, 10, 100]);
  expect(ticks("log", [1e-9, 1e9], 5)).toEqual([1e-9, 1e-5, 1e-1, 1e3, 1e7]);
  expect(ticks("log", [4.1, 5.3], 6)).toEqual([4.2, 4.4, 4.6, 4.8, 5, 5.2]);
  expect(ticks("linear", [0, 104], 6)).toEqual([0, 20, 40, 60, 80, 100]);
  for (let exponent = -8; exponent < 8; exponent += 0.37)
    for (const width of [0.01, 0.3, 1, 2.5, 7])
      for (const most of [3, 6, 12]) {
        const [low, high] = [10 ** exponent, 10 ** (exponent + width)];
        const found = ticks("log", [low, high], most);
        expect(found.length).toBeGreaterThan(1);
        expect(found.length).toBeLessThanOrEqual(most + 2);
        expect(found.every((v) => v >= low && v <= high)).toBe(true);
        expect(new Set(found.map(tickText)).size).toBe(found.length);
      }
});

test("ticks are written as people write them", () => {
  expect([0.05, 0.1, 20, 2000, 20000, 0, -1.5].map(tickText)).toEqual(["0.05", "0.1", "20", "2000", "20\u202f000", "0", "−1.5"]);
  expect([1e7, 2e-6].map(tickText)).toEqual(["1e7", "2e−6"]);
  expect(tickText(0.30000000000000004)).toBe("0.3");
});
