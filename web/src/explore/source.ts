/** What the explorer asks, and of whom: a server, or a file beside the page. Both answer alike. */
import type { components } from "../api/types";

type Schemas = components["schemas"];
export type Metric = Schemas["Chosen"]["metric"];
export type Tier = Schemas["Figure"]["tier"];
export type Better = Schemas["Figure"]["better"];
export type Value = string | number | null;

export const METRICS = [
  "energy_per_output_token_j",
  "energy_per_total_token_j",
  "energy_per_request_j",
  "energy_above_idle_per_output_token_j",
  "mean_power_w",
  "output_throughput_tokens_per_s",
  "ttft_p50_s",
  "ttft_p99_s",
  "itl_p50_s",
  "itl_p99_s",
  "e2e_latency_p50_s",
  "nll_per_token",
] as const satisfies readonly Metric[];
export const TIERS = ["self-reported", "recomputed", "replicated"] as const satisfies readonly Tier[];
/** Columns of a configuration by which it can be chosen. */
export const DIMENSIONS = [
  "model",
  "backend",
  "engine_version",
  "device_model",
  "device_count",
  "meter_class",
  "dtype",
  "quantization",
  "max_batch_size",
  "tensor_parallel_size",
  "arrival",
  "load",
  "dataset",
  "input_tokens",
  "output_tokens",
  "weights",
] as const;
export type Dimension = (typeof DIMENSIONS)[number];
/** What there are filters and counts of: the columns, and what is told from a model's name. */
export const FACETED = [...DIMENSIONS, "model_size"] as const;
export type Faceted = (typeof FACETED)[number];

/** What points can be coloured by; of `tier` 1 is self-reported, 2 recomputed, 3 replicated. */
export type Coloured = Dimension | "tier";

/** A name and a value of a query string; a repeated name means any of its values. */
export type Filter = readonly [name: string, value: string];

export interface Question {
  /** What the board is ranked by. */
  readonly metric: Metric;
  /** What the plot has across and upwards. */
  readonly x: Metric;
  readonly y: Metric;
  /** Named as the archive's questions name them: `device_model`, `class`, `q`, `args.x`, … */
  readonly filters: readonly Filter[];
}

export type Figure = Omit<Schemas["Figure"], "best_run" | "newest_run" | "metric"> & { metric: string };
export type Configuration = Pick<
  Schemas["Configuration"],
  Dimension | "id" | "energy_class" | "best_tier" | "disagrees" | "last_at"
>;
export interface Place {
  rank: number | null;
  configuration: Configuration;
  figure: Figure;
}
export interface Board {
  data_version: number;
  citation: string;
  chosen: Schemas["Chosen"];
  configurations: number;
  rows: Place[];
  next: string | null;
}
export type Facets = Pick<
  Schemas["Facets"],
  "data_version" | "energy_class" | "configurations" | "classes" | "dimensions"
>;

export interface Axis {
  readonly metric: Metric;
  readonly unit: string;
  readonly better: Better;
}
export interface FrontMark {
  readonly row: number;
  readonly x: number;
  readonly x_uncertainty: number | null;
  readonly y: number;
  readonly y_uncertainty: number | null;
}
/** Of each point the place of its value; the most frequent value first. */
export interface Codes {
  readonly values: readonly Value[];
  readonly codes: Uint16Array;
}
/** One point with its figures as they are. */
export interface Exact {
  /** Null where the configuration is not among the points. */
  readonly row: number | null;
  readonly configuration: Configuration;
  readonly x: Figure | null;
  readonly y: Figure | null;
}
/** Which point a configuration is, and its figures. */
export type Placed = Omit<Exact, "configuration"> & { readonly id: string };
/** What the plot draws: all configurations that match, in the order of x. */
export interface Cloud {
  readonly data_version: number;
  readonly energyClass: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly points: number;
  /** How many match and have both figures. */
  readonly configurations: number;
  /** Good enough to draw; whoever shows a figure asks `exact` for it. */
  readonly xs: Float64Array;
  readonly ys: Float64Array;
  /** 1 where both figures have an uncertainty. */
  readonly certain: Uint8Array;
  readonly front: readonly FrontMark[];
  /** U (k = 2) of each; NaN where there is none. */
  uncertainties(): Promise<{ readonly x: Float64Array; readonly y: Float64Array }>;
  codes(dimension: Coloured): Promise<Codes>;
  exact(rows: readonly number[]): Promise<Exact[]>;
  rowsOf(ids: readonly string[]): Promise<Placed[]>;
}

export interface Source {
  leaderboard(question: Question, page: Page, signal?: AbortSignal): Promise<Board>;
  facets(question: Question, signal?: AbortSignal): Promise<Facets>;
  scatter(question: Question, signal?: AbortSignal): Promise<Cloud>;
}
export interface Page {
  readonly cursor: string | null;
  readonly limit: number;
}
/** At once, of `exact` and `rowsOf`. */
export const MOST_ROWS = 60;

/** The archive does not answer this: its own words. */
export class Refused extends Error {
  constructor(
    readonly reason: string,
    message: string,
    readonly hint: string | null = null,
  ) {
    super(message);
  }
}
