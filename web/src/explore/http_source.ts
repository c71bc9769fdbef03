/** Asks a server's API. */
import type { components } from "../api/types";
import { codesOf, valuesOf } from "../api/digits";
import { type Board, type Cloud, type Codes, type Coloured, type Exact, type Facets, type Page, type Placed } from "./source";
import { type Question, Refused, type Source } from "./source";

type Points = components["schemas"]["Points"];
type Problem = Partial<components["schemas"]["Problem"]>;

export class HttpSource implements Source {
  /** `api`: as `/api/v1`. */
  constructor(private readonly api: string) {}

  leaderboard(question: Question, page: Page, signal?: AbortSignal): Promise<Board> {
    const more: [string, string][] = [["limit", String(page.limit)]];
    if (page.cursor) more.push(["cursor", page.cursor]);
    return this.get<Board>("leaderboard", [["metric", question.metric], ...question.filters, ...more], signal);
  }

  facets(question: Question, signal?: AbortSignal): Promise<Facets> {
    return this.get<Facets>("facets", question.filters, signal);
  }

  async scatter(question: Question, signal?: AbortSignal): Promise<Cloud> {
    const asked = [["x", question.x], ["y", question.y], ...question.filters] as const;
    const found = await this.get<Points>("points", [...asked, ["column", "certain"], ["column", "backend"]], signal);
    return new HttpCloud((path, more) => this.get(path, [...asked, ...more]), found);
  }

  private async get<T>(path: string, asked: Iterable<readonly [string, string]>, signal?: AbortSignal): Promise<T> {
    const query = new URLSearchParams([...asked].map(([name, value]) => [name, value]));
    const answer = await fetch(`${this.api}/${path}?${query}`, signal ? { signal } : {});
    if (answer.ok) return (await answer.json()) as T;
    const problem = (await answer.json().catch(() => ({}))) as Problem;
    const said = problem.errors?.map((e) => e.message).join("; ");
    throw new Refused(problem.reason ?? "", said || problem.detail || String(answer.status), problem.hint ?? null);
  }
}

type Ask = <T>(path: string, more: readonly (readonly [string, string])[]) => Promise<T>;

class HttpCloud implements Cloud {
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
  private readonly state: string;
  private readonly columns = new Map<Coloured, Promise<Codes>>();
  private whiskers: Promise<{ x: Float64Array; y: Float64Array }> | null = null;

  constructor(
    private readonly ask: Ask,
    found: Points,
  ) {
    this.data_version = found.data_version;
    this.energyClass = found.energy_class;
    this.x = { metric: found.x_metric, unit: found.x_unit, better: found.x_better };
    this.y = { metric: found.y_metric, unit: found.y_unit, better: found.y_better };
    this.points = found.points;
    this.configurations = found.configurations;
    this.state = found.state;
    this.front = found.front;
    this.xs = valuesOf(found.x, found.points, true);
    this.ys = valuesOf(found.y, found.points);
    this.certain = Uint8Array.from(codesOf(found.coded.certain?.digits ?? "", found.points));
    for (const name of Object.keys(found.coded))
      if (name !== "certain") this.columns.set(name as Coloured, Promise.resolve(this.codesIn(found, name)));
  }

  uncertainties(): Promise<{ x: Float64Array; y: Float64Array }> {
    this.whiskers ??= this.more(["x_uncertainty", "y_uncertainty"]).then(({ x_uncertainty: x, y_uncertainty: y }) => {
      if (!x || !y) throw new Refused("no_column", "the archive did not send what was asked for");
      return { x: valuesOf(x, this.points), y: valuesOf(y, this.points) };
    });
    return this.whiskers;
  }

  codes(dimension: Coloured): Promise<Codes> {
    let found = this.columns.get(dimension);
    if (!found) {
      found = this.more([dimension]).then((points) => this.codesIn(points, dimension));
      this.columns.set(dimension, found);
      found.catch(() => this.columns.delete(dimension));
    }
    return found;
  }

  exact(rows: readonly number[]): Promise<Exact[]> {
    return this.some(rows.map((row) => ["row", String(row)] as const));
  }

  rowsOf(ids: readonly string[]): Promise<Placed[]> {
    return this.some(ids.map((id) => ["id", id.slice(0, 16)] as const));
  }

  private async some<T>(which: readonly (readonly [string, string])[]): Promise<T[]> {
    if (which.length === 0) return [];
    const asked = [["state", this.state] as const, ...which];
    return (await this.ask<{ rows: T[] }>("points/rows", asked)).rows;
  }

  /** Further columns of the same points. Places of another state of the archive are of others. */
  private async more(columns: readonly string[]): Promise<Points> {
    const found = await this.ask<Points>("points", columns.map((name) => ["column", name] as const));
    if (found.state !== this.state) throw new Refused("points_expired", "the archive has changed");
    return found;
  }

  private codesIn(found: Points, name: string): Codes {
    const column = found.coded[name];
    if (!column) throw new Refused("no_column", "the archive did not send what was asked for");
    return { values: column.values, codes: codesOf(column.digits, found.points) };
  }
}
