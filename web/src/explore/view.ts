/** What the explorer shows is its address: the names of the API's questions, and a few of its own that
 * say how it is drawn. The server's page at the same address shows the same. */
import { type Coloured, DIMENSIONS, type Filter, METRICS, type Metric, type Question } from "./source";

export type Colouring = Coloured | "precision";
export const COLOURINGS = ["backend", "model", "device_model", "precision", "tier"] as const satisfies readonly Colouring[];
export type Scaling = "auto" | "log" | "linear";

export interface View {
  readonly metric: Metric;
  readonly x: Metric;
  /** Null: the metric that the board is ordered by. */
  readonly y: Metric | null;
  readonly filters: readonly Filter[];
  readonly cursor: string | null;
  readonly colour: Colouring;
  readonly xScale: Scaling;
  readonly yScale: Scaling;
}

export const START: View = {
  metric: "energy_per_output_token_j",
  x: "output_throughput_tokens_per_s",
  y: null,
  filters: [],
  cursor: null,
  colour: "backend",
  xScale: "auto",
  yScale: "auto",
};
const OWN = new Set(["metric", "x", "y", "cursor", "colour", "x_scale", "y_scale", "limit"]);
/** Filters of which there is one at most. */
export const SINGLE = new Set(["class", "tier", "semantics", "q", "since", "until"]);

function oneOf<T extends string>(found: string | null, known: readonly T[], otherwise: T): T {
  return known.includes(found as T) ? (found as T) : otherwise;
}
const isDimension = (name: string): boolean => (DIMENSIONS as readonly string[]).includes(name);

export function read(search: string): View {
  const asked = new URLSearchParams(search);
  const filters: Filter[] = [];
  for (const [name, value] of asked) {
    // Empty is what a form sends of a field that is not filled in; `null` asks for what is not set.
    if (OWN.has(name) || value === "") continue;
    if (SINGLE.has(name) && filters.some(([n]) => n === name)) continue;
    filters.push([name, value === "null" && isDimension(name) ? "" : value]);
  }
  const y = asked.get("y");
  return {
    metric: oneOf(asked.get("metric"), METRICS, START.metric),
    x: oneOf(asked.get("x"), METRICS, START.x),
    y: y && (METRICS as readonly string[]).includes(y) ? (y as Metric) : null,
    filters,
    cursor: asked.get("cursor") || null,
    colour: oneOf(asked.get("colour"), COLOURINGS, START.colour),
    xScale: oneOf(asked.get("x_scale"), ["log", "linear"], "auto" as Scaling),
    yScale: oneOf(asked.get("y_scale"), ["log", "linear"], "auto" as Scaling),
  };
}

/** The query of the view's address, without `?`; empty for the first view. */
export function write(view: View): string {
  const found = new URLSearchParams();
  for (const [name, value] of view.filters) found.append(name, value === "" ? "null" : value);
  const own: [string, string | null, string | null][] = [
    ["metric", view.metric, START.metric],
    ["x", view.x, START.x],
    ["y", view.y, null],
    ["cursor", view.cursor, null],
    ["colour", view.colour, START.colour],
    ["x_scale", view.xScale, "auto"],
    ["y_scale", view.yScale, "auto"],
  ];
  for (const [name, value, first] of own) if (value !== null && value !== first) found.append(name, value);
  return found.toString();
}

export function question(view: View): Question {
  const y = view.y ?? view.metric;
  const others: readonly Metric[] = ["output_throughput_tokens_per_s", "ttft_p50_s", "energy_per_output_token_j"];
  const x = view.x !== y ? view.x : (others.find((m) => m !== y) ?? view.x);
  return { metric: view.metric, x, y, filters: view.filters };
}

export function valuesOf(view: View, name: string): string[] {
  return view.filters.filter(([n]) => n === name).map(([, value]) => value);
}

/** With these values in place of the filter's others, from the beginning of the board. */
export function filtered(view: View, name: string, values: readonly string[]): View {
  const at = view.filters.findIndex(([n]) => n === name);
  const others = view.filters.filter(([n]) => n !== name);
  const added = values.map((value) => [name, value] as const);
  const place = at < 0 ? others.length : Math.min(at, others.length);
  return { ...view, cursor: null, filters: [...others.slice(0, place), ...added, ...others.slice(place)] };
}

export function toggled(view: View, name: string, value: string): View {
  const chosen = valuesOf(view, name);
  return filtered(view, name, chosen.includes(value) ? chosen.filter((v) => v !== value) : [...chosen, value]);
}

/** Without this value of the filter, also where it is not there any more. */
export function without(view: View, name: string, value: string): View {
  return filtered(view, name, valuesOf(view, name).filter((v) => v !== value));
}
