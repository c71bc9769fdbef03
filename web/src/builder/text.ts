/** The catalogue's texts of the builder: `t("models.title")`. */
import strings from "./strings.json";

type Whole = keyof typeof strings;
export type TextKey = Whole extends `builder.${infer K}` ? K : never;
export type Values = Readonly<Record<string, string | number>>;

export function t(key: TextKey, values: Values = {}): string {
  return filled(strings[`builder.${key}` as Whole], values);
}

/** The text of a key that is made at run time, or null where the catalogue has none. */
export function maybe(key: string, values: Values = {}): string | null {
  const whole = `builder.${key}`;
  return Object.hasOwn(strings, whole) ? filled(strings[whole as Whole], values) : null;
}

/** `one` or `other` of a key, by the number. */
export function count(key: string, n: number): string {
  return maybe(`${key}.${n === 1 ? "one" : "other"}`, { n }) ?? String(n);
}

function filled(text: string, values: Values): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}
