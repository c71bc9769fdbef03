/** The texts of this part: `t("now.none")` is `live.now.none` of the catalogue. */
import type { Values } from "../text";
import strings from "./strings.json";

type Strip<K> = K extends `live.${infer Rest}` ? Rest : never;
export type LiveKey = Strip<keyof typeof strings>;
const texts: Readonly<Record<string, string>> = strings;

/** The text, with `{name}` replaced by the value of that name. */
export function t(key: LiveKey, values: Values = {}): string {
  return filled(texts[`live.${key}`] ?? key, values);
}

/** The text of a key that is made at run time, or null where the catalogue has none. */
export function maybe(key: string): string | null {
  return Object.hasOwn(texts, `live.${key}`) ? (texts[`live.${key}`] ?? null) : null;
}

function filled(text: string, values: Values): string {
  return text.includes("{") ? text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole)) : text;
}
