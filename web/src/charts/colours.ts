/** Which value has which colour: a known engine its own in every chart, as `colours_of` in
 * lem/charts/theme.py has it; the others by order, and grey for those beyond. */
export const COLOURS = 7;
const BACKENDS: Readonly<Record<string, number>> = { transformers: 1, vllm: 2, llama_cpp: 3, sglang: 4, tensorrt_llm: 5 };

/** The colour of each, 0 (grey) to 7. `names`: the most important first. */
export function coloursOf(names: readonly string[]): number[] {
  const taken = new Set(names.map((name) => BACKENDS[name]));
  const free = Array.from({ length: COLOURS }, (_, i) => i + 1).filter((c) => !taken.has(c));
  return names.map((name) => BACKENDS[name] ?? free.shift() ?? 0);
}
