import { expect, test } from "vitest";
import { type Direction, Picker } from "../src/charts/picking";

function pixels(points: readonly (readonly [number, number])[]) {
  return { x: Float32Array.from(points, ([x]) => x), y: Float32Array.from(points, ([, y]) => y) };
}
/** The same numbers each time. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
}
function cloud(n: number, seed: number): [number, number][] {
  const next = random(seed);
  const found = Array.from({ length: n }, (): [number, number] => [800 * next(), 400 * next()]);
  return found.sort((a, b) => a[0] - b[0]);
}

test("the nearest point is what comparing all says, whatever was asked before", () => {
  const points = cloud(2000, 7);
  points[40] = [NaN, NaN];
  const picker = new Picker(pixels(points));
  const next = random(3);
  for (let i = 0; i < 300; i++) {
    const [x, y] = [800 * next(), 400 * next()];
    const distance = (row: number | null): number => {
      const [px, py] = points[row ?? -1] ?? [NaN, NaN];
      return Math.hypot(px - x, py - y);
    };
    const best = Math.min(...points.map(([px, py]) => Math.hypot(px - x, py - y)).filter((d) => !Number.isNaN(d)));
    expect(distance(picker.nearest(x, y, Infinity))).toBeCloseTo(best, 3);
    expect(picker.nearest(x, y, best - 0.01)).toBe(null);
  }
});

test("points on one line and points on each other are picked too", () => {
  const line = new Picker(pixels([[10, 5], [20, 5], [30, 5], [30, 5]]));
  expect(line.nearest(19, 9, 24)).toBe(1);
  expect([2, 3]).toContain(line.nearest(33, 5, 24));
  expect(new Picker(pixels([])).nearest(1, 1, 99)).toBe(null);
  expect(new Picker(pixels([[NaN, NaN]])).nearest(1, 1, 99)).toBe(null);
});

test("an arrow goes to the nearest point within 45° of it", () => {
  //        3
  //   1  0    2
  //        4
  const picker = new Picker(pixels([[100, 100], [60, 105], [180, 110], [120, 40], [115, 190]]));
  const from = (row: number, way: Direction) => picker.towards(row, way);
  expect(from(0, "left")).toBe(1);
  expect(from(0, "right")).toBe(2);
  expect(from(0, "up")).toBe(3);
  expect(from(0, "down")).toBe(4);
  expect(from(1, "left")).toBe(null);
  expect(from(3, "up")).toBe(null);
});

test("where none lies within 45° the nearest of that half is taken", () => {
  const picker = new Picker(pixels([[100, 100], [110, 300], [130, 10]]));
  expect(picker.towards(0, "right")).toBe(2);
});

test("arrows alone reach the edge in every direction, and come to an end", () => {
  const points = cloud(500, 11);
  const picker = new Picker(pixels(points));
  for (const [way, axis, sign] of [["left", 0, -1], ["right", 0, 1], ["up", 1, -1], ["down", 1, 1]] as const) {
    let row = 250;
    for (let steps = 0; ; steps++) {
      const next = picker.towards(row, way);
      if (next === null) break;
      expect(sign * ((points[next]?.[axis] ?? NaN) - (points[row]?.[axis] ?? NaN))).toBeGreaterThan(0);
      row = next;
      expect(steps).toBeLessThan(500);
    }
    const ends = points.map((p) => sign * p[axis]);
    expect(sign * (points[row]?.[axis] ?? NaN)).toBe(Math.max(...ends));
  }
});

test("steps reach every point in view, also those that lie on each other", () => {
  const picker = new Picker(pixels([[1, 1], [NaN, NaN], [2, 2], [2, 2], [9, 9]]));
  const found = [];
  for (let row = picker.first(); row !== null; row = picker.step(row, 1)) found.push(row);
  expect(found).toEqual([0, 2, 3, 4]);
  expect(picker.lastOne()).toBe(4);
  expect(picker.step(2, -1)).toBe(0);
});
