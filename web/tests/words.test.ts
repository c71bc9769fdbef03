import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Configuration } from "../src/explore/source";
import { figure, fullName, plain, scaleOf, workload } from "../src/words";

// Made by scripts/explore_fixture.py: what the server's pages say.
const { words } = JSON.parse(readFileSync(new URL("fixtures/explore.json", import.meta.url), "utf8")) as {
  words: {
    figures: [string, number, number | null, string, string, string][];
    among: string[];
    configurations: [Configuration, string, string][];
  };
};

test.each(words.figures)("%s %f ± %f %s as on the server's pages", (metric, value, uncertainty, unit, said, saidUnit) => {
  const found = figure({ metric, value, uncertainty, unit });
  expect([found.value, found.unit]).toEqual([said, saidUnit]);
  expect(found.certain).toBe(uncertainty !== null);
});

test("figures beside each other share a unit", () => {
  const energies = words.figures.filter(([, , , unit]) => unit === "J/token").map(([metric, value, uncertainty, unit]) => ({ metric, value, uncertainty, unit }));
  expect(energies.map((f) => figure(f, scaleOf(energies)).value)).toEqual(words.among);
});

test.each(words.configurations)("a configuration in the server's words", (configuration, name, asked) => {
  expect(fullName(configuration)).toBe(name);
  expect(workload(configuration)).toBe(asked);
});

test("text from outside is text", () => {
  expect(plain("a\u202eb\u0000\u{e0001}\n")).toBe("a\\u202eb\\x00\\U000e0001\\n");
  expect(plain("<b>&")).toBe("<b>&");
  expect(plain("x".repeat(400)).length).toBe(300);
});
