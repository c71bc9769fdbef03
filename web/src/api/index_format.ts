/** `explore-index.json`: all that the explorer of a static site answers from. Columns of equal length: the
 * i-th of each is of one configuration. `lem/archive/queries/explore_index.py` writes it. */

export type Scalar = string | number | boolean | null;

/** A column of few different values: `codes[i]` is the place in `values` of the value of row i. */
export interface CodedColumn {
  readonly values: readonly Scalar[];
  readonly codes: readonly number[];
}

/** Figures of runs of at least one tier. Columns have an entry for each row that has runs of that tier, in
 * the order of rows; null where the metric was not measured. */
export interface TierFigures {
  readonly mean: readonly (number | null)[];
  /** U, expanded (k = 2), in the metric's unit. */
  readonly expanded: readonly (number | null)[];
  readonly runs: readonly number[];
  readonly submitters: readonly number[];
  /** Place in `whys`; 0 where there is an interval. */
  readonly why: readonly number[];
}

export interface MetricColumns {
  readonly unit: string;
  readonly better: "lower" | "higher";
  /** That a figure of this metric can have: 1 for what no submitted file shows. */
  readonly highest_tier: number;
  /** Of tier 1, 2, 3, at least. Null: the same as those of the tier before, for the rows that have it. */
  readonly tiers: readonly (TierFigures | null)[];
}

export interface ExploreIndex {
  readonly format: 1;
  readonly metric_semantics_version: number;
  readonly data_version: number;
  readonly licence: string;
  readonly citation: string;
  /** Energy classes: where nobody asks for one, the first of these that has data. */
  readonly class_order: readonly string[];
  /** The first 16 digits of each configuration's id, ascending. */
  readonly ids: readonly string[];
  /** Best tier of each row: 1 self-reported, 2 recomputed, 3 replicated. */
  readonly tier: readonly number[];
  readonly semantics_version: readonly number[];
  /** When its newest run was measured: ISO 8601, UTC, milliseconds; null where that is not known. */
  readonly last_at: readonly (string | null)[];
  /** Rows of which a replication contradicts another. */
  readonly disagrees: readonly number[];
  readonly energy_class: CodedColumn;
  readonly model_content: CodedColumn;
  readonly dimensions: Readonly<Record<string, CodedColumn>>;
  /** Experiment paths of which there are several values, other than those that are dimensions. */
  readonly paths: Readonly<Record<string, CodedColumn>>;
  readonly metrics: Readonly<Record<string, MetricColumns>>;
  /** Why a figure has no interval. */
  readonly whys: readonly string[];
  /** Rows whose likelihood is the same in every run, and so exact: of tier 1, 2, 3 at least. */
  readonly exact_likelihood: readonly (readonly number[])[];
}
