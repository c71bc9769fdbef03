import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { ExploreIndex } from "../src/api/index_format";
import { general, ratioText, type Ratio } from "../src/compare/across";
import { type Answer, beside, campaignOf, idsOf, picked } from "../src/compare/found";
import { normalQuantile } from "../src/compare/quantile";
import { FileIndex } from "../src/explore/file_index";
import { Refused } from "../src/explore/source";

type Row = { figures: [string, number, number | null, string][]; ratio: Ratio | null; said: string | null };
type Recorded = { ids: string[] } & ({ refused: string } | { energy_class: string; notes: string[]; rows: Row[] });

// Made by scripts/compare_fixture.py: what the archive's own comparisons say.
const { index, answers, within, quantiles, said } = JSON.parse(
  readFileSync(new URL("fixtures/compare.json", import.meta.url), "utf8"),
) as { index: ExploreIndex; answers: Recorded[]; within: Answer; quantiles: [number, number][]; said: string[] };
const file = new FileIndex(index);

test("normal quantiles are Python's", () => {
  for (const [p, z] of quantiles) expect(Math.abs(normalQuantile(p) - z)).toBeLessThan(1e-12 * (1 + Math.abs(z)));
  expect(normalQuantile(0)).toBeNaN();
  expect(normalQuantile(1)).toBeNaN();
});

test("there is something of every kind to compare", () => {
  const verdicts = new Set(answers.flatMap((a) => ("rows" in a ? a.rows.flatMap((r) => r.ratio?.verdict ?? []) : [])));
  expect([...verdicts].sort()).toEqual(["cannot_tell", "less", "more", "same"]);
  expect(answers.some((a) => "refused" in a)).toBe(true);
  expect(answers.some((a) => a.ids.length === 6 && "rows" in a)).toBe(true);
});

test.each(answers.map((a) => [a.ids.join(" "), a] as const))("across campaigns as the archive says: %s", (_, recorded) => {
  if ("refused" in recorded) {
    expect(() => beside(file, recorded.ids)).toThrow(new Refused("not_comparable", recorded.refused));
    return;
  }
  const found = beside(file, recorded.ids);
  expect(found.energyClass).toBe(recorded.energy_class);
  expect(found.notes).toEqual(recorded.notes);
  expect(found.sides.map((s) => s.configuration.id)).toEqual(recorded.ids);
  found.sides.forEach((side, i) => {
    const row = recorded.rows[i];
    if (!row) throw new Error("a row more than the archive's");
    expect(side.figures.map((f) => [f.metric, f.value, f.uncertainty, f.tier])).toEqual(row.figures);
    expect(side.figures.every((f) => f.energy_class === recorded.energy_class)).toBe(true);
    if (row.ratio === null || side.ratio === null) {
      expect(side.ratio).toBe(row.ratio);
      return;
    }
    for (const name of ["ratio", "low", "high"] as const) {
      const [ours, theirs] = [side.ratio[name], row.ratio[name]];
      if (ours === null || theirs === null) expect(ours).toBe(theirs);
      else expect(Math.abs(ours / theirs - 1)).toBeLessThan(1e-9);
    }
    for (const name of ["basis", "level", "comparisons", "blocks", "campaign", "reason", "verdict", "words"] as const)
      expect(side.ratio[name]).toBe(row.ratio[name]);
    expect(ratioText(side.ratio)).toBe(row.said);
  });
});

test("of a campaign's comparison those asked for are picked, in their order, with its own intervals", () => {
  const [base = "", ...others] = within.rows.map((r) => r.configuration.id.slice(0, 16));
  const ids = [base, others[2] ?? "", others[0] ?? ""];
  const found = picked(within, ids);
  expect(found.sides.map((s) => s.configuration.id.slice(0, 16))).toEqual(ids);
  expect(found.sides.map((s) => s.ratio)).toEqual([null, within.rows[3]?.ratio, within.rows[1]?.ratio]);
  expect(found.sides[1]?.ratio?.comparisons).toBe(3);
  expect(within.rows.slice(1).map((r) => ratioText(r.ratio as Ratio))).toEqual(said);
  for (const { values } of found.differing) expect(new Set(values.map((v) => JSON.stringify(v))).size).toBeGreaterThan(1);
  expect(() => picked(within, [base, "0".repeat(16)])).toThrow(Refused);
});

test("an address names each configuration once, and nothing that is none", () => {
  const [a, b] = ["a".repeat(64), `b${"0".repeat(15)}`];
  expect(idsOf(`?id=${a}&id=${b}&id=${"a".repeat(16)}&id=<b>&id=xyz&margin=0.1`)).toEqual(["a".repeat(16), b]);
  expect(idsOf("")).toEqual([]);
});

test("the campaign is the one with all of them whose intervals hold for fewest", () => {
  const campaigns = { big: ["a", "b", "c", "d"], small: ["b", "a"], other: ["c", "d"] };
  expect(campaignOf(campaigns, ["a", "b"])).toBe("small");
  expect(campaignOf(campaigns, ["b", "c"])).toBe("big");
  expect(campaignOf(campaigns, ["a", "x"])).toBe(null);
});

test("three digits as Python writes them", () => {
  expect([0, 2, 38.84, 0.999, 999.6, 1234, 0.0001234, 0.00001234].map(general)).toEqual([
    "0", "2", "38.8", "0.999", "1e+03", "1.23e+03", "0.000123", "1.23e-05",
  ]);
});
