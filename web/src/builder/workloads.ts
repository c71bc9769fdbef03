/** Everyday kinds of work, as what a campaign file says of them. */
import type { Data, Edit } from "./document";
import { at, isRecord } from "./reading";

export interface Workload {
  readonly name: string;
  readonly requests: number;
  readonly dataset: Readonly<Record<string, unknown>>;
  /** Of people who wait for answers: how many ask at a time. null: all at once, and nobody waits. */
  readonly clients: number | null;
}

export const WORKLOADS: readonly Workload[] = [
  { name: "trying", requests: 64, dataset: { kind: "prompts", max_input_tokens: 60, output_tokens: 48 }, clients: null },
  { name: "chat", requests: 200, dataset: { kind: "random", input_tokens: 512, output_tokens: 256 }, clients: 8 },
  { name: "summary", requests: 100, dataset: { kind: "random", input_tokens: 4096, output_tokens: 256 }, clients: 4 },
  { name: "sorting", requests: 1000, dataset: { kind: "random", input_tokens: 256, output_tokens: 8 }, clients: null },
  { name: "code", requests: 100, dataset: { kind: "random", input_tokens: 1024, output_tokens: 512 }, clients: 4 },
];

/** `served`: whether every backend answers over a connection, one after the other. Where one does not,
 * all gets its requests at once, or it would be refused. */
export function withWorkload(one: Workload, served: boolean): Edit[] {
  const arrival = one.clients !== null && served ? { kind: "concurrency", concurrency: one.clients } : undefined;
  return [
    { path: ["workload", "requests"], value: one.requests },
    { path: ["workload", "dataset"], value: one.dataset },
    { path: ["workload", "arrival"], value: arrival },
    { path: ["sweep", "workload.dataset.input_tokens"], value: undefined },
    { path: ["sweep", "workload.dataset.output_tokens"], value: undefined },
    { path: ["sweep", "workload.dataset.shape"], value: undefined },
    // What is drawn at random has no end of its own; answers to real questions end where they end.
    { path: ["generate", "ignore_eos"], value: one.dataset.kind === "random" ? true : undefined },
  ];
}

/** Its name; null where the file says something of its own. */
export function workloadOf(data: Data): string | null {
  const [requests, dataset] = [at(data, ["workload", "requests"]), at(data, ["workload", "dataset"])];
  const found = WORKLOADS.find((one) => one.requests === requests && isRecord(dataset) && same(one.dataset, dataset));
  return found?.name ?? null;
}

function same(one: Readonly<Record<string, unknown>>, other: Readonly<Record<string, unknown>>): boolean {
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...keys].every((key) => one[key] === other[key]);
}

export type Arrival = { readonly kind: "offline" } | { readonly kind: "concurrency" | "constant" | "poisson"; readonly n: number | null } | { readonly kind: "other" };

export function arrivalOf(data: Data): Arrival {
  const found = at(data, ["workload", "arrival"]);
  if (found === undefined || found === null) return { kind: "offline" };
  if (!isRecord(found)) return { kind: "other" };
  const kind = found.kind ?? "offline";
  if (kind === "offline") return { kind };
  if (kind === "concurrency") return { kind, n: typeof found.concurrency === "number" ? found.concurrency : found.concurrency === undefined ? 8 : null };
  if ((kind === "constant" || kind === "poisson") && (typeof found.rate === "number" || found.rate === undefined))
    return { kind, n: typeof found.rate === "number" ? found.rate : null };
  return { kind: "other" };
}

export function withArrival(arrival: Arrival): Edit[] {
  const path = ["workload", "arrival"];
  if (arrival.kind === "other") return [];
  if (arrival.kind === "offline") return [{ path, value: undefined }];
  const key = arrival.kind === "concurrency" ? "concurrency" : "rate";
  return [{ path, value: { kind: arrival.kind, ...(arrival.n === null ? {} : { [key]: arrival.n }) } }];
}
