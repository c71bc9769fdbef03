/** Settings that a form offers, by their experiment path. Whose options they are: the engines', which accept or
 * refuse them; any other can be written in the file. */
import engines from "./engines.json";
import type { Data, Edit, Path } from "./document";
import { at, isRecord } from "./reading";

export type Single = string | number | boolean;
export interface Bounds {
  readonly low: number;
  readonly high: number;
  readonly [key: string]: unknown;
}
export type Axis =
  | { readonly kind: "none" }
  | { readonly kind: "one"; readonly value: Single }
  | { readonly kind: "list"; readonly values: readonly Single[] }
  | { readonly kind: "range"; readonly bounds: Bounds }
  /** Something that only the file can say. */
  | { readonly kind: "other" };

export interface Parameter {
  /** As in a sweep: `engine.dtype`, `vllm.args.enable_prefix_caching`. */
  readonly path: string;
  /** Of the text about it in the catalogue. */
  readonly text: string;
  /** Only for this backend. */
  readonly backend?: string;
  readonly type: "ladder" | "number" | "choice" | "text";
  readonly low?: number;
  readonly high?: number;
  readonly step?: number;
  readonly start?: Bounds;
  readonly choices?: readonly Single[];
  /** Shown at once and not on demand. */
  readonly first?: boolean;
}

const SWITCH = [true, false] as const;

export const PARAMETERS: readonly Parameter[] = [
  { path: "engine.max_batch_size", text: "max_batch_size", type: "ladder", low: 1, high: 1024, start: { low: 1, high: 64 }, first: true },
  { path: "engine.dtype", text: "dtype", type: "choice", choices: ["bfloat16", "float16", "float32"], first: true },
  { path: "engine.quantization", text: "quantization", type: "text" },
  { path: "engine.max_model_len", text: "max_model_len", type: "ladder", low: 256, high: 131072, start: { low: 2048, high: 8192 } },
  { path: "engine.tensor_parallel_size", text: "tensor_parallel_size", type: "ladder", low: 1, high: 16, start: { low: 1, high: 4 } },
  { path: "engine.threads", text: "threads", type: "ladder", low: 1, high: 256, start: { low: 1, high: 8 } },
  { path: "device.power_limit_w", text: "power_limit_w", type: "number", low: 50, high: 1200, step: 25, start: { low: 300, high: 700, step: 100 } },
  { path: "transformers.args.continuous_batching", text: "continuous_batching", backend: "transformers", type: "choice", choices: SWITCH },
  { path: "transformers.args.attn_implementation", text: "attn_implementation", backend: "transformers", type: "choice", choices: ["eager", "sdpa", "flash_attention_2"] },
  { path: "vllm.args.enable_prefix_caching", text: "prefix_caching", backend: "vllm", type: "choice", choices: SWITCH },
  { path: "vllm.args.enforce_eager", text: "enforce_eager", backend: "vllm", type: "choice", choices: SWITCH },
  { path: "vllm.args.kv_cache_dtype", text: "kv_cache_dtype", backend: "vllm", type: "choice", choices: ["auto", "fp8"] },
  { path: "vllm.args.max_num_batched_tokens", text: "batched_tokens", backend: "vllm", type: "ladder", low: 256, high: 65536, start: { low: 2048, high: 8192 } },
  { path: "vllm.args.gpu_memory_utilization", text: "gpu_memory", backend: "vllm", type: "number", low: 0.1, high: 0.98, step: 0.01, start: { low: 0.5, high: 0.9, step: 0.2 } },
  { path: "sglang.args.disable_radix_cache", text: "radix_cache", backend: "sglang", type: "choice", choices: SWITCH },
  { path: "sglang.args.chunked_prefill_size", text: "batched_tokens", backend: "sglang", type: "ladder", low: 256, high: 65536, start: { low: 2048, high: 8192 } },
  { path: "sglang.args.mem_fraction_static", text: "gpu_memory", backend: "sglang", type: "number", low: 0.1, high: 0.98, step: 0.01, start: { low: 0.5, high: 0.9, step: 0.2 } },
  { path: "tensorrt_llm.args.kv_cache_config.enable_block_reuse", text: "prefix_caching", backend: "tensorrt_llm", type: "choice", choices: SWITCH },
  { path: "tensorrt_llm.args.enable_chunked_prefill", text: "chunked_prefill", backend: "tensorrt_llm", type: "choice", choices: SWITCH },
  { path: "tensorrt_llm.args.max_num_tokens", text: "batched_tokens", backend: "tensorrt_llm", type: "ladder", low: 256, high: 65536, start: { low: 2048, high: 8192 } },
  { path: "llama_cpp.args.cache_type_k", text: "kv_cache_dtype", backend: "llama_cpp", type: "choice", choices: ["f16", "q8_0", "q4_0"] },
  { path: "llama_cpp.args.n_batch", text: "batched_tokens", backend: "llama_cpp", type: "ladder", low: 32, high: 8192, start: { low: 512, high: 2048 } },
];

/** What each of these engines calls it; those that have no name for it are left out. */
export function ownNames(parameter: Parameter, backends: readonly string[]): (readonly [backend: string, name: string])[] {
  if (parameter.backend !== undefined) {
    const name = parameter.path.split(".").slice(2).join(".");
    return [[parameter.backend, name]];
  }
  const key = parameter.path.replace(/^engine\./, "");
  if (key === parameter.path) return [];
  const known: Readonly<Record<string, Readonly<Record<string, string>>>> = engines;
  return backends.flatMap((b) => {
    const name = known[b]?.[key];
    return name === undefined ? [] : [[b, name] as const];
  });
}

/** Where the file has it outside of its sweep. */
export function base(path: string): Path {
  const [first = "", ...rest] = path.split(".");
  return rest[0] === "args" || rest[0] === "engine" ? ["backends", first, ...rest] : [first, ...rest];
}

export function axisOf(data: Data, path: string): Axis {
  const swept = isRecord(data.sweep) ? data.sweep[path] : undefined;
  if (Array.isArray(swept)) return swept.every(isSingle) ? { kind: "list", values: swept as Single[] } : { kind: "other" };
  if (isRecord(swept)) return isBounds(swept) ? { kind: "range", bounds: swept } : { kind: "other" };
  if (swept !== undefined && swept !== null) return { kind: "other" };
  const value = at(data, base(path));
  if (value === undefined || value === null) return { kind: "none" };
  return isSingle(value) ? { kind: "one", value } : { kind: "other" };
}

/** Backends for which alone the file sweeps it: a form leaves them to the file. */
export function apart(data: Data, parameter: Parameter): string[] {
  if (parameter.backend !== undefined || !isRecord(data.sweep)) return [];
  return Object.keys(data.sweep)
    .filter((key) => key.endsWith(`.${parameter.path}`))
    .map((key) => key.slice(0, -parameter.path.length - 1));
}

export function withAxis(path: string, axis: Axis): Edit[] {
  const swept: Path = ["sweep", path];
  const gone = (p: Path): Edit => ({ path: p, value: undefined });
  if (axis.kind === "none") return [gone(swept), gone(base(path))];
  if (axis.kind === "one") return [gone(swept), { path: base(path), value: axis.value }];
  if (axis.kind === "list") return [gone(base(path)), { path: swept, value: [...axis.values] }];
  if (axis.kind === "range") return [gone(base(path)), { path: swept, value: { ...axis.bounds } }];
  return [];
}

function isSingle(value: unknown): value is Single {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

function isBounds(value: Readonly<Record<string, unknown>>): value is Bounds {
  return typeof value.low === "number" && typeof value.high === "number";
}

const MOST_SHOWN = 400;

/** The values that bounds come to, as `lem.config.ranges` has them; null where they name none. */
export function valuesOf(bounds: Bounds): number[] | null {
  const { low, high } = bounds;
  if (!(low <= high)) return null;
  if (bounds.scale === "log2") {
    if (low <= 0) return null;
    const found: number[] = [];
    for (let e = Math.floor(Math.log2(low)) - 1; 2 ** e <= high && found.length < MOST_SHOWN; e++) if (2 ** e >= low) found.push(2 ** e);
    return found;
  }
  const num = typeof bounds.num === "number" ? bounds.num : null;
  if (bounds.scale === "log") {
    if (num === null || low <= 0) return null;
    return several(num, (i) => (i === 0 ? low : i === num - 1 ? high : Number((low * (high / low) ** (i / (num - 1))).toPrecision(6))));
  }
  if (num !== null) return several(num, (i) => exact(low + ((high - low) * i) / Math.max(1, num - 1)));
  const step = typeof bounds.step === "number" ? bounds.step : null;
  if (step === null || !(step > 0)) return null;
  return several(Math.floor((high - low) / step + 1e-9) + 1, (i) => exact(low + step * i));
}

function several(n: number, value: (i: number) => number): number[] | null {
  if (!Number.isInteger(n) || n < 1 || n > MOST_SHOWN) return null;
  return [...new Set(Array.from({ length: n }, (_, i) => value(i)))];
}

function exact(value: number): number {
  return Number(value.toPrecision(12));
}
