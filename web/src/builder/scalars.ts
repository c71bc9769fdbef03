/** Values as a campaign file has them: what lem's reader could take for something else is quoted. */
import { isCollection, isMap, isPair, isScalar, isSeq, type Node } from "yaml";

const PLAIN = /^[A-Za-z_./~][A-Za-z0-9_./+-]*$/;
const OTHER = /^(?:true|false|null|yes|no|on|off|y|n|~|\.nan|[-+.]?\.?inf)$/i;

export function scalar(value: string | number | boolean | null): string {
  if (value === null) return "null";
  if (typeof value !== "string") return typeof value === "number" ? number(value) : String(value);
  return PLAIN.test(value) && !OTHER.test(value) ? value : JSON.stringify(value);
}

/** Without an exponent, which not every reader of YAML takes for a number. */
export function number(value: number): string {
  const text = String(value);
  return text.includes("e") ? value.toFixed(12).replace(/\.?0+$/, "") : text;
}

/** `[1, 4, 16]`, `{low: 1, high: 64}`; null of what is not a line of plain values. */
export function flow(value: unknown): string | null {
  const inner = (v: unknown): string | null => (v === null || typeof v !== "object" ? scalar(v as string) : flow(v));
  if (Array.isArray(value)) {
    const items = value.map(inner);
    return items.includes(null) ? null : `[${items.join(", ")}]`;
  }
  if (typeof value !== "object" || value === null) return null;
  const items = Object.entries(value).map(([k, v]) => {
    const said = inner(v);
    return said === null ? null : `${scalar(k)}: ${said}`;
  });
  return items.includes(null) ? null : `{${items.join(", ")}}`;
}

/** Lists of values and small mappings stand on one line; what lem's reader would misread is quoted. */
export function flowing(node: Node): void {
  if (isScalar(node)) {
    if (typeof node.value === "string" && scalar(node.value) !== node.value) node.type = "QUOTE_DOUBLE";
    return;
  }
  if (!isCollection(node)) return;
  for (const item of node.items) {
    const value = isPair(item) ? item.value : item;
    if (value) flowing(value as Node);
  }
  const plain = node.items.every((item) => isScalar(isPair(item) ? item.value : item));
  if (isSeq(node)) node.flow = plain;
  // A list or mapping of a few short things.
  else if (isMap(node)) node.flow = node.items.length === 0 || (plain && node.items.length <= 4 && length(node) <= 60);
}

function length(node: Node): number {
  return JSON.stringify(node.toJSON()).length;
}
