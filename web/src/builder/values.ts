/** Values that somebody types, with commas between them. */
import { plain } from "../words";
import type { Parameter, Single } from "./parameters";
import { t } from "./text";

export type Values = { readonly values: Single[] } | { readonly wrong: string };

const NUMBER = /^-?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d{1,3})?$/i;
const WORD = /^[^\s,[\]{}#"'&*!|>%@`:]{1,100}$/;

/** `parameter`: whose bounds and type hold; null: any value, a number or a word. */
export function readValues(text: string, parameter: Parameter | null): Values {
  const parts = text.split(",").map((p) => p.trim()).filter((p) => p !== "");
  const values: Single[] = [];
  for (const part of parts) {
    const found = one(part, parameter);
    if (typeof found === "object") return found;
    if (!values.includes(found)) values.push(found);
  }
  return { values };
}

function one(part: string, parameter: Parameter | null): Single | { readonly wrong: string } {
  if (parameter === null || parameter.type === "text") {
    if (parameter === null && NUMBER.test(part)) return Number(part);
    if (parameter === null && (part === "true" || part === "false")) return part === "true";
    return WORD.test(part) ? part : { wrong: t("settings.wrong_word", { value: plain(part, 60) }) };
  }
  if (!NUMBER.test(part)) return { wrong: t("settings.not_number", { value: plain(part, 60) }) };
  const value = Number(part);
  const { low = -Infinity, high = Infinity } = parameter;
  // What the form offers is no limit of the software's; only what cannot be is refused here.
  if (parameter.type === "ladder" && (!Number.isInteger(value) || value < 1)) return { wrong: t("settings.not_number", { value: plain(part, 60) }) };
  if (parameter.type === "number" && (value < low || value > high)) return { wrong: t("settings.out_of", { low, high }) };
  return value;
}
