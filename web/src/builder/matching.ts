/** Whether a connected machine says that it would take a campaign. It looks at all of it once more itself. */
import { plain } from "../words";
import type { Runner } from "./answers";
import { t } from "./text";

export interface Asked {
  readonly models: readonly string[];
  readonly backends: readonly string[];
  readonly seconds: number | null;
}

/** Why not, in words; empty where it would. */
export function refusals(runner: Runner, asked: Asked): string[] {
  const found: string[] = [];
  const software = asked.backends.filter((b) => !runner.backends.includes(b));
  if (software.length > 0) found.push(t("run.why_backend", { names: software.map((b) => plain(b, 60)).join(", ") }));
  const models = asked.models.filter((m) => !runner.models.some((pattern) => fits(pattern, m)));
  if (models.length > 0) found.push(t("run.why_model", { names: models.map((m) => plain(m, 100)).join(", ") }));
  const { maxHours } = runner;
  if (maxHours !== null && asked.seconds !== null && asked.seconds > maxHours * 3600) found.push(t("run.why_time", { hours: maxHours }));
  return found;
}

/** `*` stands for any characters, `?` for one; nothing else is special. In time that grows with the product
 * of both lengths, whatever the pattern. */
export function fits(pattern: string, text: string): boolean {
  let [p, s, star, mark] = [0, 0, -1, 0];
  while (s < text.length) {
    if (p < pattern.length && (pattern[p] === "?" || pattern[p] === text[s]) && pattern[p] !== "*") {
      p++;
      s++;
    } else if (pattern[p] === "*") {
      star = p++;
      mark = s;
    } else if (star >= 0) {
      p = star + 1;
      s = ++mark;
    } else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}
