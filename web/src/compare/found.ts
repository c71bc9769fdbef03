/** What a site without a server has of a comparison: a campaign's own, worked out beforehand, where one
 * campaign has all of the configurations, or else their absolute figures beside each other. */
import type { components } from "../api/types";
import type { Scalar } from "../api/index_format";
import type { FileIndex } from "../explore/file_index";
import { configuration, figureOf } from "../explore/file_source";
import { type Configuration, DIMENSIONS, type Figure, METRICS, type Metric, Refused } from "../explore/source";
import { type Known, type Ratio, ratioAcross } from "./across";

export type Answer = components["schemas"]["Comparison"];
export const ENERGY: Metric = "energy_per_output_token_j";
export const NLL: Metric = "nll_per_token";
export const MOST = 6;
const ID = /^[0-9a-f]{16,64}$/;

export interface Side {
  readonly configuration: Configuration;
  readonly figures: readonly Figure[];
  /** To the first one; null of itself. */
  readonly ratio: Ratio | null;
}
export interface Setting {
  readonly path: string;
  /** In the order of the sides; null: not set. */
  readonly values: readonly Scalar[];
}
export interface Found {
  readonly energyClass: string;
  readonly sides: readonly Side[];
  readonly differing: readonly Setting[];
  readonly notes: readonly string[];
  readonly citation: string;
}

/** `comparisons.json`: campaign → first 16 digits of the configurations that it compares. */
export type Campaigns = Readonly<Record<string, readonly string[]>>;

/** Those that an address names, each once, by their first 16 digits. */
export function idsOf(search: string): string[] {
  const given = new URLSearchParams(search).getAll("id").filter((id) => ID.test(id));
  return [...new Set(given.map((id) => id.slice(0, 16)))];
}

/** The campaign that compares all of these: of several the one whose intervals hold for fewest others. */
export function campaignOf(campaigns: Campaigns, ids: readonly string[]): string | null {
  const having = Object.entries(campaigns).filter(([, own]) => ids.every((id) => own.includes(id)));
  having.sort(([, a], [, b]) => a.length - b.length);
  return having[0]?.[0] ?? null;
}

/** The rows of these out of the answer that has the first of them as its baseline. */
export function picked(answer: Answer, ids: readonly string[]): Found {
  const rows = ids.map((id) => answer.rows.find((row) => row.configuration.id.startsWith(id)));
  const sides = rows.map((row): Side => {
    if (!row) throw new Refused("no_such_configuration", "the campaign's file does not have it");
    return row;
  });
  const values = (path: string): Scalar[] => rows.map((row) => row?.settings[path] ?? null);
  return {
    energyClass: answer.energy_class,
    sides,
    differing: differing(answer.differing, values),
    notes: answer.notes,
    citation: answer.citation,
  };
}

/** By their absolute figures. Raises Refused where those are not of one kind. */
export function beside(file: FileIndex, ids: readonly string[]): Found {
  const { index } = file;
  const places = ids.map((id) => index.ids.indexOf(id));
  const found = places.map((row) => configuration(file, row));
  alike("device classes", found.map((c) => c.energy_class));
  alike("definitions of the metrics", places.map((row) => String(index.semantics_version[row])));
  const known = places.map((row, i): Known & { configuration: Configuration } => ({
    configuration: found[i] as Configuration,
    figure: figureOf(file, row, ENERGY),
    likelihood: figureOf(file, row, NLL),
  }));
  const [base, ...others] = known;
  if (!base) throw new Refused("not_comparable", "name two configurations or more");
  const order = [ENERGY, NLL, ...METRICS.filter((m) => m !== ENERGY && m !== NLL)];
  const figures = (row: number): Figure[] => order.flatMap((metric) => figureOf(file, row, metric) ?? []);
  const other = others.some((one) => one.configuration.meter_class !== base.configuration.meter_class);
  const columns = { ...index.dimensions, ...index.paths };
  const values = (path: string): Scalar[] => {
    const column = columns[path];
    return places.map((row) => column?.values[column.codes[row] ?? 0] ?? null);
  };
  return {
    energyClass: base.configuration.energy_class,
    sides: known.map((one, i) => ({
      configuration: one.configuration,
      figures: figures(places[i] ?? -1),
      ratio: i === 0 ? null : ratioAcross(one, base, others.length),
    })),
    differing: differing([...DIMENSIONS, ...Object.keys(index.paths).filter((path) => !isTold(path))], values),
    notes: other ? ["energy read by different kinds of meters is not compared within blocks"] : [],
    citation: index.citation,
  };
}

/** Whether a dimension says the same, or what follows from one. */
function isTold(path: string): boolean {
  const last = path.slice(path.lastIndexOf(".") + 1);
  return (DIMENSIONS as readonly string[]).includes(last) || path.startsWith("model.") || path === "requests_sha256";
}

function alike(what: string, values: readonly string[]): void {
  const different = [...new Set(values)].sort();
  if (different.length < 2) return;
  throw new Refused(
    "not_comparable",
    `these configurations have figures of different ${what}, which are not compared: ${different.join(", ")}`,
  );
}

function differing(paths: readonly string[], values: (path: string) => Scalar[]): Setting[] {
  return paths.map((path) => ({ path, values: values(path) })).filter((s) => new Set(s.values.map((v) => JSON.stringify(v))).size > 1);
}
