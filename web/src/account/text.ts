/** The texts of this part: `t("account.sign_in.heading")`. */
import type { Values } from "../text";
import strings from "./strings.json";

export type Key = keyof typeof strings;
const texts: Readonly<Record<string, string>> = strings;

/** The text, with `{name}` replaced by the value of that name. */
export function t(key: Key, values: Values = {}): string {
  return strings[key].replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** The text of a key that is made at run time; the last part of the key where the catalogue has none. */
export function named(section: "account.tokens.role" | "account.campaigns.states" | "admin.people.how" | "admin.keys.how", name: string): string {
  const joint = section === "account.campaigns.states" ? "." : "_";
  const key = `${section}${joint}${name}`;
  return Object.hasOwn(texts, key) ? (texts[key] ?? name) : name;
}
