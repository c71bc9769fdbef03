import { expect, test } from "vitest";
import { cell, csvOf } from "../src/explore/csv";
import type { Place } from "../src/explore/source";
import { compareAddress, MOST, read, same, toggled } from "../src/page/basket";
import { nextTheme } from "../src/page/theme";
import { t, whole } from "../src/text";

const id = (n: number): string => String(n).padStart(16, "0");
const kept = (n: number) => ({ id: id(n), label: `number ${n}` });

test("a basket holds each configuration once, and no more than fit side by side", () => {
  let found: { id: string; label: string }[] = [];
  for (let n = 0; n < 9; n++) found = toggled(found, kept(n));
  expect(found.map((k) => k.id)).toEqual([0, 1, 2, 3, 4, 5].map(id));
  expect(found.length).toBe(MOST);
  const fewer = toggled(found, { id: `${id(2)}${"f".repeat(48)}`, label: "the same, whole" });
  expect(fewer.map((k) => k.id)).toEqual([0, 1, 3, 4, 5].map(id));
  expect(same(id(1), `${id(1)}abc`)).toBe(true);
});

test("what lies in a browser's store is not believed", () => {
  expect(read(null)).toEqual([]);
  for (const text of ["", "{", "7", "null", '{"id":1}', '["a"]', "[null]", '[{"id":"../x","label":"a"}]']) expect(read(text)).toEqual([]);
  expect(read(`[{"id":"${id(1)}","label":5},{"id":"${id(1)}","label":"again"}]`)).toEqual([{ id: id(1), label: id(1) }]);
  expect(read(JSON.stringify(Array.from({ length: 20 }, (_, n) => kept(n)))).length).toBe(MOST);
});

test("a comparison's address names them in their order", () => {
  expect(compareAddress("/compare", [kept(2), kept(1)])).toBe(`/compare?id=${id(2)}&id=${id(1)}`);
  expect(compareAddress("../compare/?a=1", [kept(3)])).toBe(`../compare/?a=1&id=${id(3)}`);
});

test("the theme's button goes round", () => {
  expect(nextTheme(nextTheme(nextTheme("system")))).toBe("system");
});

test("texts are filled in; thousands stand apart", () => {
  expect(t("explorer.chosen", { n: 3 })).toBe("3 chosen");
  expect(t("explorer.chosen")).toBe("{n} chosen");
  expect([0, 999, 1000, 1234567].map(whole)).toEqual(["0", "999", "1\u202f000", "1\u202f234\u202f567"]);
});

test("a spreadsheet runs nothing of a table", () => {
  expect(['=1+1', "+a", "-a", "@a", "a,b", 'a"b', "a\nb", "a"].map(cell)).toEqual(["'=1+1", "'+a", "'-a", "'@a", '"a,b"', '"a""b"', '"a\nb"', "a"]);
  expect([null, -0.5, 1e-7].map(cell)).toEqual(["", "-0.5", "1e-7"]);
  const configuration = { id: id(1), model: "=evil()", backend: "vllm", device_model: "L4", device_count: 1 };
  const figure = { value: 1.25, uncertainty: null, unit: "J/token", runs: 3, submitters: 1, tier: "recomputed", energy_class: "gpu" };
  const place = { rank: null, configuration: { ...configuration, dataset: "random", arrival: "", load: null }, figure };
  const [head, row] = csvOf([place as unknown as Place], "cite, me").split("\r\n");
  expect(head).toContain("value (J/token),U (k = 2) (J/token)");
  expect(row).toContain(`,${id(1)},'=evil(),vllm,`);
  expect(row).toMatch(/1\.25,,3,1,recomputed,gpu,"cite, me"$/);
});
