/** The made-up campaign of `scripts/live_fixture.py`, and events by hand. */
import { readFileSync } from "node:fs";
import type { LiveEvent } from "../../src/live/events";
import type { Model } from "../../src/live/model";
import { Lines } from "../../src/live/lines";
import { batchOf, Recording } from "../../src/live/recording";

const bytes = new Uint8Array(readFileSync(new URL("../fixtures/live.ndjson", import.meta.url)));

export const lines: readonly Uint8Array[] = new Lines().add(bytes);
export const batches: readonly LiveEvent[][] = lines.map(batchOf);
export const events: readonly LiveEvent[] = batches.flat();

export function recorded(spacing?: number): Recording {
  const recording = new Recording(spacing);
  for (const line of lines) recording.add(line);
  return recording;
}

export const begin = (at: number, arm = 0, block = 0, attempt = 0): LiveEvent => ({ k: "begin", at, arm, block, attempt });
export const phase = (at: number, name: string): LiveEvent => ({ k: "phase", at, phase: name });
export const edge = (at: number, begins: boolean, n = 0): LiveEvent => ({ k: "window", at, n, begins, tokens: 0 });
export const power = (at: number, w: number, j: number, device = "gpu0", window_j: number | null = null): LiveEvent => ({
  k: "power", at, device, device_class: "gpu", estimated: false, w, j, window_j,
});
export const tokens = (at: number, n: number, window_n: number | null = null): LiveEvent => ({ k: "tokens", at, n, per_s: 10, window_n });
export const text = (request: string, words: string, end = false, at = 0): LiveEvent & { k: "text" } => ({ k: "text", at, request, text: words, end });

/** All that a model holds, as text: readings by what is drawn of them. */
export function held({ samples, ...rest }: Model): string {
  const drawn = [...samples].map(([name, found]) => [name, found.count, found.between(-Infinity, Infinity, 500), found.between(0, 1, 0)]);
  return JSON.stringify({ ...rest, drawn });
}
