/** Answers from the index of a static site, in the browser, as the server's queries do. */
import { bisectLeft } from "d3-array";
import type { ExploreIndex } from "../api/index_format";
import { type Column, FileIndex, type Selected } from "./file_index";
import { frontOf } from "./front";
import {
  type Board,
  type Cloud,
  type Codes,
  type Coloured,
  type Configuration,
  DIMENSIONS,
  type Dimension,
  FACETED,
  type Faceted,
  type Exact,
  type Facets,
  type Figure,
  type Metric,
  type Page,
  type Place,
  type Placed,
  type Question,
  Refused,
  type Source,
  type Tier,
  TIERS,
  type Value,
} from "./source";

const NLL = "nll_per_token";
const MOST_VALUES = 200;

export class FileSource implements Source {
  private loaded: Promise<FileIndex> | null = null;

  /** `address`: of `explore-index.json`, or the index itself. */
  constructor(private readonly from: string | ExploreIndex) {}

  async leaderboard(question: Question, page: Page): Promise<Board> {
    const about = await this.about(question);
    const { file, selected } = about;
    const { metric } = question;
    const known = file.metric(metric);
    const column = file.column(metric, selected.tier);
    const rows = ranked(file, selected, metric, column);
    if (metric === NLL && new Set(rows.map((row) => file.index.model_content.codes[row])).size > 1)
      throw new Refused(
        "not_comparable",
        "likelihoods of several models match, and those of other tokens have no order",
        "choose one with model.content=…, or compare configurations",
      );
    const from = page.cursor === null ? 0 : Number(page.cursor);
    const places = ranks(rows, column, known.better === "lower");
    const best = Math.max(0, ...rows.map((row) => file.index.tier[row] ?? 0));
    return {
      data_version: file.index.data_version,
      citation: file.index.citation,
      chosen: {
        energy_class: selected.energyClass,
        tier: tierName(selected.tier) ?? "best",
        best_tier: tierName(Math.min(best, known.highest_tier)),
        metric,
        unit: known.unit,
        better: known.better,
      },
      configurations: rows.length,
      rows: rows.slice(from, from + page.limit).map((row, i): Place => {
        const found = about.figure(row, metric);
        if (!found) throw new Refused("no_figure", "a row without a figure");
        return { rank: places[from + i] ?? null, configuration: configuration(file, row), figure: found };
      }),
      next: from + page.limit < rows.length ? String(from + page.limit) : null,
    };
  }

  async facets(question: Question): Promise<Facets> {
    const { file, selected } = await this.about(question);
    const counted = (name: Faceted): Facets["dimensions"][string] => {
      const rows = file.matching(selected, selected.byDimension.has(name) ? name : undefined);
      const { values, codes } = file.dimension(name);
      const counts = new Int32Array(values.length);
      codes.forEach((code, i) => {
        if (rows[i]) counts[code] = (counts[code] ?? 0) + 1;
      });
      return values
        .map((value, code) => ({ value: value as Value, configurations: counts[code] ?? 0 }))
        .filter((c) => c.configurations > 0)
        // Sizes are in their order already.
        .sort((a, b) => (name === "model_size" ? 0 : b.configurations - a.configurations || byValue(a.value, b.value)))
        .slice(0, MOST_VALUES);
    };
    const classes: Record<string, number> = {};
    const { values, codes } = file.index.energy_class;
    codes.forEach((code, i) => {
      const name = String(values[code]);
      if ((file.index.tier[i] ?? 0) >= Math.max(1, selected.tier)) classes[name] = (classes[name] ?? 0) + 1;
    });
    return {
      data_version: file.index.data_version,
      energy_class: selected.energyClass,
      configurations: file.matching(selected).reduce((n, there) => n + there, 0),
      classes,
      dimensions: Object.fromEntries(FACETED.map((name) => [name, counted(name)])),
    };
  }

  async scatter(question: Question): Promise<Cloud> {
    if (question.x === question.y) throw new Refused("same_metric", "x and y name the same metric");
    return new FileCloud(await this.about(question), question);
  }

  private async about(question: Question): Promise<About> {
    this.loaded ??= typeof this.from === "string" ? load(this.from) : Promise.resolve(new FileIndex(this.from));
    const file = await this.loaded;
    return new About(file, file.select(question.filters));
  }
}

export async function load(address: string): Promise<FileIndex> {
  const answer = await fetch(address);
  if (!answer.ok) throw new Refused("no_index", `${address}: ${answer.status}`);
  return new FileIndex((await answer.json()) as ExploreIndex);
}

/** The rows that one question is about, and their figures. */
class About {
  constructor(
    readonly file: FileIndex,
    readonly selected: Selected,
  ) {}

  figure(row: number, metric: Metric): Figure | null {
    return figureOf(this.file, row, metric, this.selected.tier);
  }
}

/** Of a row's runs of at least this tier, with 0 of its best one; null where there is none. */
export function figureOf(file: FileIndex, row: number, metric: Metric, atLeast = 0): Figure | null {
  const known = file.metric(metric);
  const column = file.column(metric, atLeast);
  const value = column.mean[row] ?? NaN;
  const u = column.expanded[row] ?? NaN;
  const tier = tierName(Math.min(atLeast || (file.index.tier[row] ?? 1), known.highest_tier));
  if (Number.isNaN(value) || !tier) return null;
  return {
    metric,
    unit: known.unit,
    better: known.better,
    value,
    uncertainty: Number.isNaN(u) ? null : u,
    why_no_uncertainty: Number.isNaN(u) ? (file.index.whys[column.why[row] ?? 1] ?? null) : null,
    runs: column.runs[row] ?? 0,
    submitters: column.submitters[row] ?? 0,
    tier,
    energy_class: classOf(file, row),
  };
}

function classOf({ index }: FileIndex, row: number): string {
  return String(index.energy_class.values[index.energy_class.codes[row] ?? 0]);
}

class FileCloud implements Cloud {
  readonly data_version: number;
  readonly energyClass: string;
  readonly x: Cloud["x"];
  readonly y: Cloud["y"];
  readonly points: number;
  readonly configurations: number;
  readonly xs: Float64Array;
  readonly ys: Float64Array;
  readonly certain: Uint8Array;
  readonly front: Cloud["front"];
  /** Of the index, in the order of points. */
  private readonly rows: readonly number[];
  private readonly widths: { readonly x: Float64Array; readonly y: Float64Array };

  constructor(
    private readonly about: About,
    question: Question,
  ) {
    const { file, selected } = about;
    const [x, y] = [question.x, question.y].map((metric) => file.column(metric, selected.tier));
    if (!x || !y) throw new Refused("no_such_metric", "there is no such metric here");
    const found = file.withFigures(selected, [question.x, question.y]);
    this.rows = found.sort((a, b) => (x.mean[a] ?? 0) - (x.mean[b] ?? 0) || a - b);
    const of = (column: Float64Array): Float64Array => Float64Array.from(this.rows, (row) => column[row] ?? NaN);
    this.data_version = file.index.data_version;
    this.energyClass = selected.energyClass;
    this.x = axis(file, question.x);
    this.y = axis(file, question.y);
    this.points = this.configurations = this.rows.length;
    this.xs = of(x.mean);
    this.ys = of(y.mean);
    this.widths = { x: of(x.expanded), y: of(y.expanded) };
    this.certain = Uint8Array.from(this.rows, (_, i) => Number(!Number.isNaN(this.widths.x[i]) && !Number.isNaN(this.widths.y[i])));
    this.front = this.onFront().map((row) => ({
      row,
      x: this.xs[row] ?? NaN,
      x_uncertainty: orNull(this.widths.x[row]),
      y: this.ys[row] ?? NaN,
      y_uncertainty: orNull(this.widths.y[row]),
    }));
  }

  uncertainties(): ReturnType<Cloud["uncertainties"]> {
    return Promise.resolve(this.widths);
  }

  codes(name: Coloured): Promise<Codes> {
    const { file, selected } = this.about;
    if (name === "tier") {
      const highest = Math.min(file.metric(this.x.metric).highest_tier, file.metric(this.y.metric).highest_tier);
      const codes = Uint16Array.from(this.rows, (row) => Math.min(selected.tier || (file.index.tier[row] ?? 1), highest) - 1);
      return Promise.resolve({ values: [1, 2, 3], codes });
    }
    const { values, codes } = file.dimension(name);
    const counts = new Map<number, number>();
    for (const row of this.rows) counts.set(codes[row] ?? 0, (counts.get(codes[row] ?? 0) ?? 0) + 1);
    const order = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).map(([code]) => code);
    const place = new Map(order.map((code, i) => [code, i]));
    return Promise.resolve({
      values: order.map((code) => values[code] as Value),
      codes: Uint16Array.from(this.rows, (row) => place.get(codes[row] ?? 0) ?? 0),
    });
  }

  exact(rows: readonly number[]): Promise<Exact[]> {
    return Promise.resolve(rows.map((row) => this.one(this.rows[row] ?? -1, row)));
  }

  rowsOf(ids: readonly string[]): Promise<Placed[]> {
    const { ids: known } = this.about.file.index;
    return Promise.resolve(
      ids.map((id) => {
        const at = known.indexOf(id.slice(0, 16));
        const row = this.rows.indexOf(at);
        const { configuration: found, ...placed } = this.one(at, row < 0 ? null : row);
        return { ...placed, id: found.id };
      }),
    );
  }

  private one(at: number, row: number | null): Exact {
    if (at < 0) throw new Refused("no_such_configuration", "there is no such configuration here");
    const { about } = this;
    return {
      row,
      configuration: configuration(about.file, at),
      x: about.figure(at, this.x.metric),
      y: about.figure(at, this.y.metric),
    };
  }

  private onFront(): number[] {
    const { file, selected } = this.about;
    const cost = (values: Float64Array, better: string): Float64Array => (better === "lower" ? values : values.map((v) => -v));
    const likelihood = this.x.metric === NLL || this.y.metric === NLL;
    const exact = file.index.exact_likelihood.map((rows) => new Set(rows));
    // Without a tier asked for, each is exact or not by its best one.
    const isExact = (row: number): boolean => exact[(selected.tier || (file.index.tier[row] ?? 1)) - 1]?.has(row) ?? false;
    const width = (metric: Metric, values: Float64Array): Float64Array =>
      metric === NLL ? values.map((u, i) => (isExact(this.rows[i] ?? -1) ? 0 : u)) : values;
    return frontOf({
      x: cost(this.xs, this.x.better),
      xU: width(this.x.metric, this.widths.x),
      y: cost(this.ys, this.y.better),
      yU: width(this.y.metric, this.widths.y),
      groups: likelihood ? this.rows.map((row) => file.index.model_content.codes[row] ?? 0) : null,
    });
  }
}

/** From the best to the worst, those without an uncertainty last, equals in the order of ids. */
function ranked(file: FileIndex, selected: Selected, metric: Metric, { mean, expanded }: Column): number[] {
  const sign = file.metric(metric).better === "lower" ? 1 : -1;
  const bare = (row: number): number => Number(Number.isNaN(expanded[row]));
  return file
    .withFigures(selected, [metric])
    .sort((a, b) => bare(a) - bare(b) || sign * ((mean[a] ?? 0) - (mean[b] ?? 0)) || a - b);
}

/** 1, and 1 more for each that is better by more than the two uncertainties together (leaderboard.py). */
export function ranks(
  rows: readonly number[],
  { mean, expanded }: Pick<Column, "mean" | "expanded">,
  lowerIsBetter: boolean,
): (number | null)[] {
  const sign = lowerIsBetter ? 1 : -1;
  const end = (row: number, way: number): number => sign * (mean[row] ?? NaN) + way * (expanded[row] ?? NaN);
  const ends = Float64Array.from(rows, (row) => end(row, 1)).filter((value) => !Number.isNaN(value)).sort();
  return rows.map((row) => (Number.isNaN(expanded[row] ?? NaN) ? null : 1 + bisectLeft(ends, end(row, -1))));
}

export function configuration(file: FileIndex, row: number): Configuration {
  const { index } = file;
  const dimensions = Object.fromEntries(
    DIMENSIONS.map((name) => {
      const { values, codes } = file.dimension(name);
      return [name, values[codes[row] ?? 0]];
    }),
  );
  return {
    ...(dimensions as Pick<Configuration, Dimension>),
    id: index.ids[row] ?? "",
    energy_class: classOf(file, row),
    best_tier: tierName(index.tier[row] ?? 0),
    disagrees: index.disagrees.includes(row),
    last_at: index.last_at[row] ?? null,
  };
}

function axis(file: FileIndex, metric: Metric): Cloud["x"] {
  const { unit, better } = file.metric(metric);
  return { metric, unit, better };
}

function tierName(tier: number): Tier | null {
  return TIERS[tier - 1] ?? null;
}

function orNull(value: number | undefined): number | null {
  return value === undefined || Number.isNaN(value) ? null : value;
}

/** Numbers by their size, texts by their code points, what is not set last. */
function byValue(a: Value, b: Value): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  if (typeof a === "number" && typeof b === "number") return a - b;
  return a < b ? -1 : a > b ? 1 : 0;
}
