import { readFileSync, readdirSync } from "node:fs";
import { parse } from "yaml";
import { describe, expect, it } from "vitest";
import { type Data, edited, parsed } from "../../src/builder/document";
import { axisOf, PARAMETERS, withAxis } from "../../src/builder/parameters";
import { modelsOf } from "../../src/builder/reading";
import { withWorkload, WORKLOADS, workloadOf } from "../../src/builder/workloads";

const CONFIGS = new URL("../../../configs/", import.meta.url);
const config = (name: string): string => readFileSync(new URL(name, CONFIGS), "utf8");
const say = (what: string): string => what;
const read = (text: string): Data => {
  const found = parsed(text, say);
  if (found.data === null) throw new Error(found.trouble.message);
  return found.data;
};
/** What is said beside and between the values. */
const comments = (text: string): string[] => text.split("\n").flatMap((l) => /(?:^|\s)(#.*)$/.exec(l)?.[1] ?? []);

const FILE = `\
# What this is for.
version: 1
name: mine          # ours, really

models:
  - id: org/Model   # the first

backends: {transformers: {}, vllm: {}}

# How many at once?
sweep:
  engine.max_batch_size: [1, 4]   # few
  odd.path: [true, "off"]

workload:
  requests: 32                    # not many
  dataset: {kind: prompts, output_tokens: 16}
unheard_of: {of: [it, all]}
`;

describe("the text with a value changed", () => {
  it("leaves every other character as it was", () => {
    const before = FILE.split("\n");
    const after = edited(FILE, [{ path: ["workload", "requests"], value: 64 }]).split("\n");
    expect(after.filter((l, i) => l !== before[i])).toEqual(["  requests: 64                    # not many"]);
    const swept = edited(FILE, [{ path: ["sweep", "engine.max_batch_size"], value: { low: 1, high: 64, scale: "log2" } }]);
    expect(swept.split("\n").filter((l, i) => l !== before[i])).toEqual(["  engine.max_batch_size: {low: 1, high: 64, scale: log2}   # few"]);
  });

  it.each(readdirSync(CONFIGS).filter((f) => f.endsWith(".yaml")))("keeps comments and data of %s, whatever is set", (name) => {
    const text = config(name);
    const changes = [
      { path: ["measure", "preset"], value: "standard" },
      { path: ["name"], value: "another-name" },
      { path: ["engine", "threads"], value: 3 },
      { path: ["sweep", "engine.max_batch_size"], value: [1, 2] },
      { path: ["workload", "requests"], value: 7 },
      { path: ["backends", "vllm"], value: {} },
    ];
    const after = edited(text, changes);
    expect(comments(after)).toEqual(expect.arrayContaining(comments(text)));
    const [was, is] = [structuredClone(read(text)), read(after)] as [Record<string, never>, Record<string, never>];
    for (const { path, value } of changes) {
      let [a, b]: [unknown, unknown] = [was, is];
      for (const [i, key] of path.entries()) {
        if (i === path.length - 1) (a as Record<string, unknown>)[key] = value;
        else if (((a as Record<string, unknown>)[key] ?? null) === null) (a as Record<string, unknown>)[key] = {};
        [a, b] = [(a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]];
      }
      expect(b).toEqual(value);
    }
    expect(is).toEqual(was);
  });

  it("puts a section where such files have it, apart from the next", () => {
    const after = edited(FILE, [{ path: ["engine", "dtype"], value: "bfloat16" }]);
    const lines = after.split("\n");
    const at = lines.indexOf("engine: {dtype: bfloat16}");
    expect(at).toBeGreaterThan(lines.findIndex((l) => l.startsWith("backends:")));
    expect(at).toBeLessThan(lines.findIndex((l) => l.startsWith("sweep:")));
    expect(lines[at - 1]).toBe("");
  });

  it("takes away what is empty then, but no engine", () => {
    const vllm = edited(FILE, [{ path: ["backends", "vllm", "args", "enforce_eager"], value: true }]);
    expect(read(vllm).backends).toEqual({ transformers: {}, vllm: { args: { enforce_eager: true } } });
    const gone = edited(vllm, [{ path: ["backends", "vllm", "args", "enforce_eager"], value: undefined }]);
    expect(read(gone).backends).toEqual({ transformers: {}, vllm: {} });
    const bare = edited(FILE, [
      { path: ["sweep", "engine.max_batch_size"], value: undefined },
      { path: ["sweep", "odd.path"], value: undefined },
    ]);
    expect("sweep" in read(bare)).toBe(false);
    expect(read(bare).unheard_of).toEqual({ of: ["it", "all"] });
  });

  it("quotes what would be read as something else", () => {
    for (const name of ["yes", "1e3", "null", "0x1", "1:30", "a: b", "a #b", "- x", "*a", "!tag", "ä", "", "2026-01-01", "'", '"', "a\nb"]) {
      const text = edited(FILE, [{ path: ["name"], value: name }]);
      expect(read(text).name).toBe(name);
      const more = edited(text, [{ path: ["models"], value: [{ id: name }, { id: "org/B" }] }]);
      expect(modelsOf(read(more)).map((m) => m.name)).toEqual([name, "org/B"]);
      if (/^(?:yes|1e3|null|0x1|1:30|2026-01-01)$/.test(name)) {
        expect(text).toContain(`name: "${name}"`);
        expect(more).toContain(`"${name}"`);
      }
    }
  });

  it("writes no exponents", () => {
    expect(edited(FILE, [{ path: ["workload", "requests"], value: 0.0000001 }])).toContain("requests: 0.0000001 ");
  });

  it("is the same where the file can't be read", () => {
    expect(edited("a: [", [{ path: ["a"], value: 1 }])).toBe("a: [");
  });

  it("goes through anchors", () => {
    const text = "engine: &e {threads: 1}\nbackends: {vllm: {args: *e}}\n";
    expect(read(edited(text, [{ path: ["backends", "vllm", "args", "threads"], value: 2 }])).engine).toEqual({ threads: 2 });
  });
});

describe("a form's settings", () => {
  it("say what the file says, each way", () => {
    for (const parameter of PARAMETERS) {
      let text = FILE.replace("backends: {transformers: {}, vllm: {}}", "backends: {transformers: {}, vllm: {}, sglang: {}, llama_cpp: {}, tensorrt_llm: {}}");
      for (const axis of [
        { kind: "one", value: 8 },
        { kind: "list", values: [1, 2, 8] },
        { kind: "range", bounds: { low: 2, high: 8, scale: "log2" } },
        { kind: "none" },
      ] as const) {
        text = edited(text, withAxis(parameter.path, axis));
        expect(axisOf(read(text), parameter.path)).toEqual(axis);
      }
      expect(comments(text)).toContain("# What this is for.");
    }
  });

  it("are left to the file where it says more", () => {
    expect(axisOf({ sweep: { "engine.dtype": [[1]] } }, "engine.dtype").kind).toBe("other");
    expect(axisOf({ sweep: { "engine.dtype": "x" } }, "engine.dtype").kind).toBe("other");
    expect(axisOf({ engine: { dtype: {} } }, "engine.dtype").kind).toBe("other");
    expect(axisOf({ engine: { dtype: null } }, "engine.dtype").kind).toBe("none");
  });
});

describe("kinds of work", () => {
  it.each(WORKLOADS.map((w) => [w.name, w] as const))("%s is found again", (name, workload) => {
    for (const served of [true, false]) {
      const data = read(edited(FILE, withWorkload(workload, served)));
      expect(workloadOf(data)).toBe(name);
      const arrival = (data.workload as Record<string, unknown>).arrival;
      expect(arrival).toEqual(served && workload.clients ? { kind: "concurrency", concurrency: workload.clients } : undefined);
    }
  });

  it("are none of these where a length differs", () => {
    const chat = WORKLOADS.find((w) => w.name === "chat")!;
    const data = read(edited(edited(FILE, withWorkload(chat, true)), [{ path: ["workload", "dataset", "output_tokens"], value: 99 }]));
    expect(workloadOf(data)).toBe(null);
  });
});

describe("reading", () => {
  it("finds the line of a path, also of keys with dots", () => {
    const { where } = parsed(FILE, say);
    const lineOf = (text: string): number => FILE.split("\n").findIndex((l) => l.includes(text)) + 1;
    expect(where("sweep.engine.max_batch_size")).toBe(lineOf("max_batch_size"));
    expect(where("models.0.id")).toBe(lineOf("org/Model"));
    expect(where("workload.dataset.output_tokens")).toBe(lineOf("output_tokens"));
    expect(where("workload.arrival.kind")).toBe(lineOf("workload:"));
    expect(where("nowhere")).toBe(null);
  });

  it("agrees with the library on every example", () => {
    for (const name of readdirSync(CONFIGS).filter((f) => f.endsWith(".yaml"))) expect(read(config(name))).toEqual(parse(config(name)));
  });

  const trouble = (text: string): [string | undefined, number | null | undefined] => {
    const found = parsed(text, say).trouble;
    return [found?.message, found?.line];
  };
  it("says what keeps the form from it, and where", () => {
    expect(trouble("a: 1\nb: [1,\n")[1]).toBeGreaterThan(1);
    expect(trouble("")).toEqual(["empty", null]);
    expect(trouble("- a\n- b")).toEqual(["no_mapping", 1]);
    expect(trouble("just words")).toEqual(["no_mapping", 1]);
    expect(trouble("a: 1\nb:\n  c: 1\n  c: 2")).toEqual(["twice", 4]);
  });

  it("takes no more than a moment over what is made to take longer", () => {
    const bomb = Array.from({ length: 12 }, (_, i) => `k${i}: &a${i} [${Array(9).fill(i ? `*a${i - 1}` : "x").join(", ")}]`).join("\n");
    const merged = Array.from({ length: 12 }, (_, i) => `k${i}: &a${i} {${i ? `<<: [*a${i - 1}, *a${i - 1}], ` : ""}x${i}: 1}`).join("\n");
    for (const text of [
      bomb,
      merged,
      "[".repeat(60_000),
      `a: ${"[".repeat(30_000)}${"]".repeat(30_000)}`,
      "- ".repeat(30_000),
      "? ".repeat(30_000),
      `${"a'".repeat(10)}${"[".repeat(60_000)}`,
      Array.from({ length: 9_000 }, (_, i) => `k${i}: 1`).join("\n"),
      Array.from({ length: 360 }, (_, i) => `${" ".repeat(i)}a:`).join("\n"),
      "&a ".repeat(20_000),
      "x".repeat(300_000),
      `"${"\\x41".repeat(15_000)}`,
      "a: !!binary |\n  ////",
    ]) {
      const start = performance.now();
      parsed(text, say);
      expect(performance.now() - start).toBeLessThan(2000);
    }
    expect(trouble(bomb)[0]).toBe("aliases");
    expect(trouble(merged)[0]).toBe("aliases");
    expect(trouble("[".repeat(60_000))[0]).toBe("too_deep");
    expect(trouble("x".repeat(300_000))[0]).toBe("too_large");
  });

  it("makes no prototypes", () => {
    const data = read('__proto__: {polluted: 1}\nconstructor: {x: 1}\nname: "<img src=x onerror=alert(1)>"\n');
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect(data.name).toContain("<img");
  });
});
