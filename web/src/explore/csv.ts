/** The board's rows as CSV, where there is no server to write them. */
import { device, way, workload } from "../words";
import type { Place } from "./source";

export function csvOf(rows: readonly Place[], citation: string): string {
  const unit = rows[0]?.figure.unit ?? "";
  const head = [
    "rank",
    "configuration",
    "model",
    "backend",
    "device",
    "settings",
    "workload",
    `value (${unit})`,
    `U (k = 2) (${unit})`,
    "runs",
    "submitters",
    "tier",
    "energy class",
    "citation",
  ];
  const lines = rows.map(({ rank, configuration: c, figure: f }) => [
    rank,
    c.id,
    c.model,
    c.backend,
    device(c),
    way(c),
    workload(c),
    f.value,
    f.uncertainty,
    f.runs,
    f.submitters,
    f.tier,
    f.energy_class,
    citation,
  ]);
  return [head, ...lines].map((line) => `${line.map(cell).join(",")}\r\n`).join("");
}

/** A text that a spreadsheet would run as a formula gets a `'`. */
export function cell(value: string | number | null): string {
  if (value === null) return "";
  if (typeof value === "number") return String(value);
  const safe = /^[=+\-@\t\r\n＝＋－＠]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
