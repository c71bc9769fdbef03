import { expect, test } from "vitest";
import { bands, onOneClock } from "../src/charts/phases";

test("phases are shaded where they are seen", () => {
  const phase = (name: string, start_s: number, end_s: number, measured = false) => ({ name, start_s, end_s, measured });
  const phases = [phase("idle", 0, 10), phase("window", 10, 30, true), phase("end", 30, 40), phase("none", 5, 5)];
  const found = bands(phases, (second) => 100 + 10 * second, 150, 420);
  expect(found).toEqual([
    { name: "idle", measured: false, left: 150, right: 200 },
    { name: "window", measured: true, left: 200, right: 400 },
    { name: "end", measured: false, left: 400, right: 420 },
  ]);
});

test("lines with clocks of their own are joined over each other's times, and gaps stay gaps", () => {
  const [times, first, second] = onOneClock([
    { t_s: [0, 2, 4], values: [1, null, 3] },
    { t_s: [1, 2], values: [7, 8] },
  ]);
  expect(times).toEqual([0, 1, 2, 4]);
  expect(first).toEqual([1, undefined, null, 3]);
  expect(second).toEqual([undefined, 7, 8, undefined]);
});
