/** The index of a static site as arrays, and which of its rows a question is about: as
 * lem/archive/queries/selection.py says. */
import type { CodedColumn, ExploreIndex, MetricColumns, Scalar, TierFigures } from "../api/index_format";
import { canBeKnown } from "../words";
import { FACETED, type Faceted, type Filter, type Metric, Refused, TIERS } from "./source";

export interface Column {
  readonly mean: Float64Array;
  readonly expanded: Float64Array;
  readonly runs: Int32Array;
  readonly submitters: Int32Array;
  readonly why: Uint8Array;
}
export type Mask = Uint8Array;

export interface Selected {
  readonly energyClass: string;
  readonly semantics: number;
  /** At least; 0 where nobody asked, and each configuration counts by its best one. */
  readonly tier: number;
  /** Rows that match everything but filters by a dimension. */
  readonly others: Mask;
  readonly byDimension: ReadonlyMap<Faceted, Mask>;
}

export class FileIndex {
  readonly rows: number;
  private readonly columns = new Map<string, Column>();

  constructor(readonly index: ExploreIndex) {
    if (index.format !== 1) throw new Refused("unknown_format", `this page does not know format ${index.format}`);
    this.rows = index.ids.length;
  }

  /** A metric of every row: of its runs of at least this tier, with 0 of its best tier. NaN and 0 where
   * there is none. */
  column(metric: Metric, tier: number): Column {
    const key = `${metric} ${tier}`;
    let found = this.columns.get(key);
    if (!found) {
      found = tier ? this.ofTier(metric, tier) : this.ofBest(metric);
      this.columns.set(key, found);
    }
    return found;
  }

  metric(metric: Metric): MetricColumns {
    const found = this.index.metrics[metric];
    if (!found) throw new Refused("no_such_metric", `there is no metric ${metric} here`);
    return found;
  }

  dimension(name: Faceted): CodedColumn {
    return this.index.dimensions[name] ?? { values: [null], codes: Array<number>(this.rows).fill(0) };
  }

  select(filters: readonly Filter[]): Selected {
    const { index, rows } = this;
    const one = (name: string): string | undefined => filters.find(([n]) => n === name)?.[1];
    const asked = one("tier");
    const tier = asked === undefined ? 0 : 1 + (TIERS as readonly string[]).indexOf(asked);
    if (asked !== undefined && tier === 0) throw new Refused("bad_input", `there is no tier ${asked}`);
    const semantics = Number(one("semantics") ?? index.metric_semantics_version);
    const others = new Uint8Array(rows);
    for (let i = 0; i < rows; i++) others[i] = Number(index.semantics_version[i] === semantics && (index.tier[i] ?? 0) >= tier);
    const part = one("q")?.toLowerCase();
    if (part !== undefined) narrow(others, this.dimension("model"), (v) => String(v).toLowerCase().includes(part));
    this.narrowByTime(others, one("since"), one("until"));
    const byDimension = new Map<Faceted, Mask>();
    for (const [name, values] of named(filters)) {
      if (isDimension(name)) byDimension.set(name, mask(this.dimension(name), isOneOf(name, values)));
      else narrow(others, this.path(name), (value) => values.some((text) => isAtPath(value, text)));
    }
    const energyClass = one("class") ?? this.firstClass(others, byDimension);
    narrow(others, index.energy_class, (value) => value === energyClass);
    return { energyClass, semantics, tier, others, byDimension };
  }

  /** Rows that match. `without`: leave the filter of this dimension out. */
  matching(selected: Selected, without?: Faceted): Mask {
    const found = selected.others.slice();
    for (const [name, rows] of selected.byDimension) if (name !== without) and(found, rows);
    return found;
  }

  /** Places of the rows that match and have all of these figures, as far as their class of energy can
   * tell them. */
  withFigures(selected: Selected, metrics: readonly Metric[]): number[] {
    if (!metrics.every((metric) => canBeKnown(metric, selected.energyClass))) return [];
    const matching = this.matching(selected);
    const columns = metrics.map((metric) => this.column(metric, selected.tier).mean);
    const found: number[] = [];
    for (let i = 0; i < this.rows; i++) if (matching[i] && columns.every((c) => !Number.isNaN(c[i]))) found.push(i);
    return found;
  }

  private firstClass(others: Mask, byDimension: ReadonlyMap<Faceted, Mask>): string {
    const rows = others.slice();
    for (const more of byDimension.values()) and(rows, more);
    const { values, codes } = this.index.energy_class;
    const there = new Set(codes.filter((_, i) => rows[i]).map((code) => values[code]));
    return this.index.class_order.find((name) => there.has(name)) ?? this.index.class_order[0] ?? "gpu";
  }

  private path(name: string): CodedColumn {
    const found = this.index.paths[name];
    if (found) return found;
    throw new Refused("no_such_filter", `no configurations here differ in ${JSON.stringify(name.slice(0, 80))}`);
  }

  private narrowByTime(rows: Mask, since: string | undefined, until: string | undefined): void {
    const from = since === undefined ? null : moment(since);
    const to = until === undefined ? null : moment(until);
    if (from === null && to === null) return;
    this.index.last_at.forEach((at, i) => {
      if (from !== null && (at ?? "") < from) rows[i] = 0;
      if (to !== null && (at === null || at > to)) rows[i] = 0;
    });
  }

  private ofTier(metric: Metric, tier: number): Column {
    const { tiers } = this.metric(metric);
    // The same as those of the tier before, for the rows that have it.
    let of = tier;
    while (of > 1 && !tiers[of - 1]) of--;
    const given = tiers[of - 1];
    const column = empty(this.rows);
    let place = 0;
    for (let i = 0; i < this.rows; i++) {
      const best = this.index.tier[i] ?? 0;
      if (best < of) continue;
      if (given && best >= tier) copy(column, i, given, place);
      place++;
    }
    return column;
  }

  private ofBest(metric: Metric): Column {
    const column = empty(this.rows);
    for (let tier = 1; tier <= TIERS.length; tier++) {
      const from = this.column(metric, tier);
      for (let i = 0; i < this.rows; i++) {
        if (this.index.tier[i] !== tier) continue;
        column.mean[i] = from.mean[i] ?? NaN;
        column.expanded[i] = from.expanded[i] ?? NaN;
        column.runs[i] = from.runs[i] ?? 0;
        column.submitters[i] = from.submitters[i] ?? 0;
        column.why[i] = from.why[i] ?? 0;
      }
    }
    return column;
  }
}

const NOT_NAMES = new Set(["class", "tier", "semantics", "q", "since", "until"]);

function named(filters: readonly Filter[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [name, value] of filters) {
    if (NOT_NAMES.has(name)) continue;
    const values = found.get(name);
    if (values) values.push(value);
    else found.set(name, [value]);
  }
  return found;
}

function isDimension(name: string): name is Faceted {
  return (FACETED as readonly string[]).includes(name);
}

function empty(rows: number): Column {
  return {
    mean: new Float64Array(rows).fill(NaN),
    expanded: new Float64Array(rows).fill(NaN),
    runs: new Int32Array(rows),
    submitters: new Int32Array(rows),
    why: new Uint8Array(rows),
  };
}

function copy(to: Column, row: number, from: TierFigures, place: number): void {
  to.mean[row] = from.mean[place] ?? NaN;
  to.expanded[row] = from.expanded[place] ?? NaN;
  to.runs[row] = from.runs[place] ?? 0;
  to.submitters[row] = from.submitters[place] ?? 0;
  to.why[row] = from.why[place] ?? 0;
}

function mask(column: CodedColumn, test: (value: Scalar) => boolean): Mask {
  const passes = column.values.map(test);
  return Uint8Array.from(column.codes, (code) => Number(passes[code] ?? false));
}

function narrow(rows: Mask, column: CodedColumn, test: (value: Scalar) => boolean): void {
  and(rows, mask(column, test));
}

function and(rows: Mask, others: Mask): void {
  for (let i = 0; i < rows.length; i++) rows[i] = (rows[i] ?? 0) & (others[i] ?? 0);
}

const NUMBERS: ReadonlySet<Faceted> = new Set<Faceted>([
  "device_count",
  "max_batch_size",
  "tensor_parallel_size",
  "load",
  "input_tokens",
  "output_tokens",
]);

/** Whether a value of this dimension is what one of these texts says. */
function isOneOf(name: Faceted, texts: readonly string[]): (value: Scalar) => boolean {
  if (!NUMBERS.has(name)) return (value) => texts.includes(String(value));
  const numbers = new Set<Scalar>(texts.map(json).filter((v) => typeof v === "number"));
  if (texts.includes("")) numbers.add(null);
  return (value) => numbers.has(value);
}

/** As the text that it is, or as the JSON scalar that it says: `4` is the number and the text, `null`
 * and nothing at all: not set. */
function isAtPath(value: Scalar, text: string): boolean {
  if (value === text) return true;
  const said = text === "" ? null : json(text);
  return said !== undefined && value === said;
}

/** The scalar that a text is as JSON; undefined where it is none. */
function json(text: string): Scalar | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? undefined : (value as Scalar);
  } catch {
    return undefined;
  }
}

/** ISO 8601 as the archive writes moments; UTC where no zone is given. */
function moment(text: string): string {
  const zoned = /T.*(Z|[+-]\d\d:?\d\d)$/i.test(text) || !text.includes("T") ? text : `${text}Z`;
  const found = new Date(zoned);
  if (Number.isNaN(found.getTime())) throw new Refused("bad_input", `${text} is no ISO 8601 date or time`);
  return found.toISOString().replace("Z", "+00:00");
}
