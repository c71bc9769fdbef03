import { expect, test } from "vitest";
import { filtered, question, read, START, toggled, valuesOf, type View, without, write } from "../src/explore/view";

test("the first view has an empty address", () => {
  expect(write(START)).toBe("");
  expect(read("")).toEqual(START);
});

test("an address that is read and written is the same", () => {
  const addresses = [
    "backend=vllm&backend=sglang&device_model=NVIDIA+L4&q=7b&metric=mean_power_w",
    "engine.max_batch_size=4&args.enforce_eager=true&tier=recomputed&class=estimated",
    "quantization=null&load=8&x=ttft_p50_s&y=mean_power_w&colour=model&x_scale=log&y_scale=linear",
    "since=2026-05-01&until=2026-06-01&cursor=eyJ4Ijox",
    "model=a%26b%3Dc%23d%2Be&q=%C3%A9%E2%80%AE",
  ];
  for (const address of addresses) expect(write(read(`?${address}`))).toBe(address);
});

test("what a form leaves empty is no filter; null is what is not set", () => {
  const view = read("?backend=&q=&load=null&metric=&model=null&engine.max_batch_size=null");
  expect(view.filters).toEqual([
    ["load", ""],
    ["model", ""],
    ["engine.max_batch_size", "null"],
  ]);
  expect(view.metric).toBe(START.metric);
});

test("an address that somebody made up does no harm", () => {
  const view = read("?metric=<script>&x=__proto__&colour=constructor&x_scale=7&q=a&q=b&limit=9999&y=nothing");
  expect(view).toEqual({ ...START, filters: [["q", "a"]] });
});

test("filters are set, added and taken away, and the board begins anew", () => {
  const view: View = { ...START, cursor: "abc", filters: [["backend", "vllm"], ["q", "7b"], ["backend", "sglang"]] };
  expect(valuesOf(view, "backend")).toEqual(["vllm", "sglang"]);
  const fewer = toggled(view, "backend", "vllm");
  expect(valuesOf(fewer, "backend")).toEqual(["sglang"]);
  expect(valuesOf(fewer, "q")).toEqual(["7b"]);
  expect(fewer.cursor).toBe(null);
  expect(valuesOf(toggled(fewer, "backend", "llama_cpp"), "backend")).toEqual(["sglang", "llama_cpp"]);
  expect(filtered(view, "q", []).filters).toEqual([["backend", "vllm"], ["backend", "sglang"]]);
  expect(view.filters.length).toBe(3);
});

test("a metric is never drawn against itself", () => {
  expect(question(START)).toMatchObject({ x: "output_throughput_tokens_per_s", y: "energy_per_output_token_j" });
  for (const metric of ["output_throughput_tokens_per_s", "ttft_p50_s", "mean_power_w"] as const) {
    const asked = question({ ...START, metric, x: metric });
    expect(asked.y).toBe(metric);
    expect(asked.x).not.toBe(metric);
  }
});

test("a filter that is taken away twice stays away", () => {
  const view = read("?backend=vllm&backend=sglang");
  const once = without(view, "backend", "vllm");
  expect(write(once)).toBe("backend=sglang");
  expect(write(without(once, "backend", "vllm"))).toBe("backend=sglang");
});
