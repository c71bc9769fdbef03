/** The catalogue's texts for people: `t("board.page", { page: 2 })`. */
import strings from "./strings.json";

export type TextKey = keyof typeof strings;
export type Values = Readonly<Record<string, string | number>>;

/** The text, with `{name}` replaced by the value of that name. */
export function t(key: TextKey, values: Values = {}): string {
  const text = strings[key];
  // Most have nothing to fill in, and a table of fifty rows asks for hundreds.
  if (!text.includes("{")) return text;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** The text of a key that is made at run time, or null where the catalogue has none. */
export function maybe(key: string): string | null {
  return Object.hasOwn(strings, key) ? strings[key as TextKey] : null;
}

/** `one` or `other` of a key, by the number. */
export function count(key: "count.configurations", n: number): string {
  return t(`${key}.${n === 1 ? "one" : "other"}`, { n: whole(n) });
}

/** A whole number with its thousands apart: 17 000, by a thin space that does not break. */
export function whole(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}
