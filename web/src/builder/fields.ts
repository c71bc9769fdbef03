/** Which field of the form a problem of the file belongs to. */
import { PARAMETERS } from "./parameters";

/** Ids of elements: `field-models`, `field-engine.dtype`. */
export type Field = string;
export const SECTIONS = ["name", "models", "backends", "settings", "workload", "measure", "rest"] as const;

const OF_SECTION: Readonly<Record<string, Field>> = {
  name: "name",
  models: "models",
  backends: "backends",
  engine: "settings",
  sweep: "settings",
  device: "settings",
  workload: "workload",
  generate: "workload",
  measure: "measure",
};

/** `where`: `sweep.engine.dtype`, `models.0.id`; null where the form has nothing of it. */
export function fieldOf(where: string): Field | null {
  const [first = "", ...rest] = where.split(".");
  if (first === "") return null;
  const path = first === "sweep" || first === "backends" ? rest.join(".") : where;
  const parameter = PARAMETERS.find((p) => within(path, p.path) || (first === "sweep" && p.backend === undefined && path.endsWith(`.${p.path}`)));
  if (parameter) return parameter.path;
  if (first === "sweep" && rest[0] === "workload") return "workload";
  if (first === "measure" && rest[0] === "time_budget") return "budget";
  return OF_SECTION[first] ?? "rest";
}

function within(path: string, whole: string): boolean {
  return path === whole || path.startsWith(`${whole}.`);
}

/** The section that a field stands in, which may be folded. */
export function isFolded(field: Field): boolean {
  return PARAMETERS.some((p) => p.path === field && !p.first);
}
