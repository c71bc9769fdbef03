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

export const ANSWERS = 6;
export const SKIPPED = 500;
export const LETTERS = 2400;
const MARKS = 3;

/** Those that are kept, each in its place; and the requests that go on without being kept. */
export interface Answers {
  readonly kept: readonly Answer[];
  readonly skipped: readonly string[];
}
export const NO_ANSWERS: Answers = { kept: [], skipped: [] };

/** With one piece more. A new answer takes a place of its own, or that of the one that ended first; where
 * all go on it is left out, from its beginning to its end. Of a long one the end is kept. */
export function withPiece({ kept, skipped }: Answers, { request, text, end }: TextEvent): Answers {
  if (skipped.includes(request)) return { kept, skipped: end ? skipped.filter((r) => r !== request) : skipped };
  const going = kept.findIndex((a) => a.request === request && !a.ended);
  const place = going >= 0 ? going : placeFor(kept);
  if (place < 0) return { kept, skipped: end ? skipped : [...skipped.slice(1 - SKIPPED), request] };
  const before = going >= 0 ? kept[going] : undefined;
  const whole = (before?.text ?? "") + text;
  const cut = whole.length > LETTERS;
  const answer: Answer = {
    key: before?.key ?? Math.max(0, ...kept.map((a) => a.key)) + 1,
    request,
    text: cut ? lastLetters(whole) : whole,
    cut: cut || (before?.cut ?? false),
    ended: end,
  };
  const next = [...kept];
  next[place] = answer;
  return { kept: next, skipped };
}

/** A free one, or that of the one which ended and is the oldest; -1: none. */
function placeFor(kept: readonly Answer[]): number {
  if (kept.length < ANSWERS) return kept.length;
  let found = -1;
  kept.forEach((a, i) => {
    if (a.ended && (found < 0 || a.key < (kept[found]?.key ?? 0))) found = i;
  });
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
