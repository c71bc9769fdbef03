/** What the server answers, as far as the builder reads it. */
import type { components } from "../api/types";

type Schemas = components["schemas"];
export type Measured = Schemas["Measured"];
export type Experiment = Schemas["PlannedExperiment"];

export interface Span {
  readonly low: number;
  readonly high: number;
}
export interface Energy {
  readonly basis: "archive" | "assumed";
  readonly device_model: string | null;
  readonly device_count: number | null;
  readonly energy_class: string | null;
  readonly configurations: number;
  readonly same: number;
  readonly same_backend: number;
  readonly others: number;
  readonly power_w: Span;
  readonly energy_j: Span;
  readonly cost: Span;
  readonly assumption: string | null;
}
export interface Price extends Span {
  readonly name: string;
  readonly currency: string;
  readonly assumption: string;
  readonly source: string;
  readonly url: string;
  readonly year: number;
}
export interface Estimate {
  readonly runs: number;
  readonly blocks: number;
  readonly most_blocks: number | null;
  readonly seconds: Span;
  readonly most_seconds: Span;
  readonly basis: string;
  readonly time_budget_s: number | null;
  readonly to_choose: number;
  readonly energy: readonly Energy[];
  readonly why_no_energy: string | null;
  readonly price: Price;
}
export interface Plan {
  readonly name: string;
  readonly experiments: readonly Experiment[];
  readonly measured: number;
  readonly missing: number;
  readonly notes: readonly string[];
  readonly doubts: readonly Wrong[];
  readonly estimate: Estimate | null;
}
/** Something wrong in the file; `where`: a key's path. */
export interface Wrong {
  readonly where: string;
  readonly message: string;
  readonly line?: number | null;
}
export interface Refusal {
  readonly detail: string;
  readonly errors: readonly Wrong[];
}
export interface Who {
  readonly signed_in: boolean;
  readonly role: string | null;
  readonly name: string | null;
}
export interface Runner {
  readonly name: string;
  readonly cpu: string;
  readonly cores: number;
  readonly devices: readonly { readonly model: string; readonly count: number }[];
  readonly meters: readonly string[];
  readonly models: readonly string[];
  readonly backends: readonly string[];
  readonly maxHours: number | null;
  readonly hours: string;
  readonly doing: string;
}
/** `offline`: nobody answers. `none`: the server has nothing of this kind. */
export type Answer<T> =
  | { readonly kind: "here"; readonly value: T }
  | { readonly kind: "refused"; readonly value: Refusal }
  | { readonly kind: "often"; readonly seconds: number }
  | { readonly kind: "failed"; readonly why: string }
  | { readonly kind: "none" }
  | { readonly kind: "offline" };
