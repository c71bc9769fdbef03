import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { codesOf, valuesOf } from "../src/api/digits";
import type { ExploreIndex } from "../src/api/index_format";
import type { components } from "../src/api/types";
import { FileSource, ranks } from "../src/explore/file_source";
import { type Figure, type Filter, type Metric, Refused } from "../src/explore/source";

type Quantity = components["schemas"]["Quantity"];
type Cells = [number, number | null, string | null, number, number, string];
interface Recorded {
  metric: Metric;
  x: Metric;
  filters: Filter[];
  facets: {
    energy_class: string;
    configurations: number;
    classes: Record<string, number>;
    dimensions: Record<string, [string | number | null, number][]>;
  };
  board: { refused: string } | { chosen: object; rows: [number | null, number | null, string, Cells][] };
  points: {
    coded: Record<string, { values: (string | number | null)[]; digits: string }>;
    x: Quantity;
    y: Quantity;
    front: number[];
    rows: [string, Cells, Cells][];
  };
}

// Made by scripts/explore_fixture.py: what the archive's own queries answer.
const { index, answers } = JSON.parse(readFileSync(new URL("fixtures/explore.json", import.meta.url), "utf8")) as {
  index: ExploreIndex;
  answers: Recorded[];
};
const source = new FileSource(index);
const asked = (a: Recorded) => ({ metric: a.metric, x: a.x, y: a.metric, filters: a.filters });
const cells = (f: Figure | null): Cells | null =>
  f && [f.value, f.uncertainty, f.why_no_uncertainty ?? null, f.runs, f.submitters, f.tier];
const name = (a: Recorded) => `${a.metric} by ${a.x} of ${JSON.stringify(a.filters)}`;

test("the fixture has something to compare", () => {
  expect(answers.length).toBeGreaterThan(14);
  expect(answers.filter((a) => a.points.rows.length > 3).length).toBeGreaterThan(8);
  expect(answers.some((a) => a.points.front.length > 1)).toBe(true);
  expect(answers.some((a) => "refused" in a.board)).toBe(true);
});

for (const recorded of answers) {
  test(`facets as the archive counts them: ${name(recorded)}`, async () => {
    const found = await source.facets(asked(recorded));
    expect(found.energy_class).toBe(recorded.facets.energy_class);
    expect(found.configurations).toBe(recorded.facets.configurations);
    expect(found.classes).toEqual(recorded.facets.classes);
    const plain = Object.fromEntries(
      Object.entries(found.dimensions).map(([k, counts]) => [k, counts.map((c) => [c.value, c.configurations])]),
    );
    expect(plain).toEqual(recorded.facets.dimensions);
  });

  test(`the board as the archive ranks it: ${name(recorded)}`, async () => {
    const page = { cursor: null, limit: 500 };
    if ("refused" in recorded.board) {
      const why = await source.leaderboard(asked(recorded), page).catch((e: unknown) => e);
      expect(why).toBeInstanceOf(Refused);
      expect((why as Refused).reason).toBe(recorded.board.refused);
      return;
    }
    const board = await source.leaderboard(asked(recorded), page);
    expect(board.chosen).toEqual(recorded.board.chosen);
    expect(board.configurations).toBe(recorded.board.rows.length);
    expect(board.rows.map((p) => [p.rank, p.configuration.id, cells(p.figure)])).toEqual(recorded.board.rows);
    expect(board.next).toBe(null);
  });

  test(`points as the archive gives them: ${name(recorded)}`, async () => {
    const { points } = recorded;
    const cloud = await source.scatter(asked(recorded));
    const n = points.rows.length;
    expect(cloud.points).toBe(n);
    const exact = await cloud.exact(Array.from({ length: n }, (_, i) => i));
    expect(exact.map((one) => [one.configuration.id, cells(one.x), cells(one.y)])).toEqual(points.rows);
    expect(exact.map((one) => one.row)).toEqual(points.rows.map((_, i) => i));
    expect(cloud.front.map((m) => m.row)).toEqual(points.front);
    expect([...cloud.certain]).toEqual([...codesOf(points.coded.certain?.digits ?? "", n)]);
    for (const dimension of ["tier", "backend", "load"] as const) {
      const { values, codes } = await cloud.codes(dimension);
      const column = points.coded[dimension];
      const theirs = [...codesOf(column?.digits ?? "", n)].map((code) => column?.values[code]);
      expect([...codes].map((code) => values[code])).toEqual(theirs);
    }
    const rows = await cloud.rowsOf(points.rows.map(([id]) => `${id}${"0".repeat(48)}`));
    expect(rows).toEqual(exact.map(({ configuration, ...one }) => ({ ...one, id: configuration.id })));
  });

  test(`what the server sends to be drawn is read to within half a step: ${name(recorded)}`, () => {
    const { points } = recorded;
    const n = points.rows.length;
    const sides = [
      [points.x, true, 1],
      [points.y, false, 2],
    ] as const;
    for (const [quantity, bySteps, cell] of sides) {
      const halfStep = (quantity.high / quantity.low) ** (0.5001 / 8646);
      const values = valuesOf(quantity, n, bySteps);
      points.rows.forEach((row, i) => {
        const ratio = (values[i] ?? NaN) / row[cell][0];
        expect(ratio).toBeLessThanOrEqual(halfStep);
        expect(ratio).toBeGreaterThanOrEqual(1 / halfStep);
      });
    }
  });
}

test("pages have every row once, with the ranks of the whole", async () => {
  const [first] = answers;
  if (!first) throw new Error("no answers");
  const whole = await source.leaderboard(asked(first), { cursor: null, limit: 500 });
  for (const limit of [1, 2, 7]) {
    const rows = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<FileSource["leaderboard"]>> = await source.leaderboard(asked(first), { cursor, limit });
      expect(page.rows.length).toBeLessThanOrEqual(limit);
      rows.push(...page.rows);
      cursor = page.next;
    } while (cursor !== null);
    expect(rows).toEqual(whole.rows);
  }
});

test("a rank counts those that are better by more than both uncertainties", () => {
  // The third overlaps its neighbour, but not the first; the fourth, worse yet, overlaps them all.
  const mean = Float64Array.of(1, 1.15, 1.3, 1.4, 5);
  const expanded = Float64Array.of(0.1, 0.1, 0.1, 0.5, NaN);
  expect(ranks([0, 1, 2, 3, 4], { mean, expanded }, true)).toEqual([1, 1, 2, 1, null]);
  expect(ranks([3, 2, 1, 0, 4], { mean, expanded }, false)).toEqual([1, 1, 1, 2, null]);
});

test("unknown filters, tiers and times are refused, never answered about everything", async () => {
  const [first] = answers;
  if (!first) throw new Error("no answers");
  for (const filter of [["engine.max_batch_siz", "4"], ["tier", "best"], ["since", "yesterday"]] as const) {
    await expect(source.facets({ ...asked(first), filters: [filter] })).rejects.toBeInstanceOf(Refused);
  }
  await expect(source.scatter({ ...asked(first), y: first.x })).rejects.toThrow("same metric");
});
