/** What a form shows of a campaign's data, of which nothing is believed. */
import type { Data, Path } from "./document";

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function at(data: unknown, path: Path): unknown {
  let here: unknown = data;
  for (const key of path) {
    if (Array.isArray(here)) here = here[Number(key)];
    else if (isRecord(here)) here = Object.hasOwn(here, key) ? here[key] : undefined;
    else return undefined;
  }
  return here;
}

export function text(value: unknown): string {
  return typeof value === "string" ? value : typeof value === "number" || typeof value === "boolean" ? String(value) : "";
}

export interface Model {
  readonly name: string;
  readonly kind: "hub" | "local" | "package" | "random" | "unknown";
  readonly revision: string | null;
  /** What a runner's patterns are held against; null where they say nothing of it. */
  readonly offered: string | null;
}

export function modelsOf(data: Data): Model[] {
  if (!Array.isArray(data.models)) return [];
  return data.models.map((one: unknown) => {
    if (!isRecord(one)) return { name: text(one), kind: "unknown", revision: null, offered: null };
    const id = text(one.id);
    const kind = isRecord(one.wheel) ? "package" : "synthetic" in one ? "random" : id === "" ? "unknown" : isLocal(id) ? "local" : "hub";
    const file = isRecord(one.wheel) ? text(one.wheel.file).replace(/^.*\//, "") : "";
    const offered = isRecord(one.wheel) ? `pypi:${text(one.wheel.package)}` : kind === "hub" ? id : null;
    return { name: id || file, kind, revision: text(one.revision) || null, offered };
  });
}

function isLocal(id: string): boolean {
  return /^(?:\/|\.\/|\.\.\/|~\/)/.test(id) || /\.gguf$/i.test(id);
}

/** Whether it is written as a hub's ids are: nothing is asked whether there is such a model. */
export function isHubId(id: string): boolean {
  return id.length <= 200 && /^[A-Za-z0-9][A-Za-z0-9._-]*(?:\/[A-Za-z0-9][A-Za-z0-9._-]*)?$/.test(id) && !isLocal(id);
}

export function backendsOf(data: Data): string[] {
  return isRecord(data.backends) ? Object.keys(data.backends) : [];
}

/** Sections that a form shows nothing of, of those that are there. */
export function elsewhere(data: Data): string[] {
  const shown = new Set(["version", "name", "models", "backends", "engine", "sweep", "workload", "generate", "measure", "device"]);
  return Object.keys(data).filter((key) => !shown.has(key) && data[key] !== null);
}
