/** Answers of models: text from outside, which is shown as text and nothing else. */
import type { TextEvent } from "./events";

export interface Answer {
  /** One is like no other of its run. */
  readonly key: number;
  readonly request: string;
  readonly text: string;
  /** Letters that came before those that are kept. */
  readonly cut: boolean;
  readonly ended: boolean;
}

export const ANSWERS = 8;
export const LETTERS = 2400;
const MARKS = 3;

/** With one piece more: at most so many answers, the oldest that ended leaves first; of a long one the end
 * is kept. */
export function withPiece(answers: readonly Answer[], { request, text, end }: TextEvent): Answer[] {
  const place = answers.findIndex((a) => a.request === request && !a.ended);
  const before = answers[place];
  const whole = (before?.text ?? "") + text;
  const cut = whole.length > LETTERS;
  const answer: Answer = {
    key: before?.key ?? (answers.at(-1)?.key ?? 0) + 1,
    request,
    text: cut ? lastLetters(whole) : whole,
    cut: cut || (before?.cut ?? false),
    ended: end,
  };
  if (before) return answers.map((a, i) => (i === place ? answer : a));
  const found = [...answers, answer];
  if (found.length <= ANSWERS) return found;
  const leaves = found.findIndex((a) => a.ended);
  found.splice(leaves < 0 ? 0 : leaves, 1);
  return found;
}

/** Not beginning with half a character. */
function lastLetters(text: string): string {
  const from = text.length - LETTERS;
  const code = text.charCodeAt(from);
  return text.slice(code >= 0xdc00 && code < 0xe000 ? from + 1 : from);
}

/** Safe to show: lines stay lines; what else controls, hides or reorders text becomes a visible escape, and
 * marks are not piled on one letter without end. */
export function shown(text: string): string {
  return text
    .replace(/\r\n?/g, "\n")
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu, (c) => (c === "\n" || c === "\t" ? c : escaped(c)))
    .replace(new RegExp(`(\\p{M}{${MARKS}})\\p{M}+`, "gu"), "$1");
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const hex = (digits: number): string => code.toString(16).padStart(digits, "0");
  return code < 0x100 ? `\\x${hex(2)}` : code < 0x10000 ? `\\u${hex(4)}` : `\\U${hex(8)}`;
}
