/** The campaign as text, which is what counts, and what a form needs of it: its data, where each key
 * stands, and the text with a value changed. Comments, and keys that no form knows, stay. */
import { Document, isAlias, isCollection, isMap, isPair, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from "yaml";
import { MOST_BYTES } from "./codec";
import { flow, flowing, scalar } from "./scalars";

export type Key = string | number;
export type Path = readonly Key[];
export type Data = Readonly<Record<string, unknown>>;
/** `line` and `column` count from 1. */
export interface Trouble {
  readonly message: string;
  readonly line: number | null;
}
export type Parsed =
  | { readonly data: Data; readonly trouble: null; readonly where: (dotted: string) => number | null }
  | { readonly data: null; readonly trouble: Trouble; readonly where: (dotted: string) => number | null };

/** Beyond this a form would take too long over each change; the text is still sent and checked. */
const MOST_FOR_A_FORM = 64 * 1024;
const MOST_LEVELS = 20;
const MOST_ALIASES = 100;
/** Under merge keys (`<<`), which the library follows without counting: two in each of many would be powers of two. */
const MOST_MERGED = 12;

/** In words, by the caller's catalogue. */
export type Say = (what: "too_large" | "too_deep" | "twice" | "no_mapping" | "aliases" | "empty", values?: Record<string, string | number>) => string;

const OPTIONS = { merge: true, uniqueKeys: false, prettyErrors: false, version: "1.2", logLevel: "silent" } as const;
const WRITTEN = { lineWidth: 0, flowCollectionPadding: false } as const;

export function parsed(text: string, say: Say): Parsed {
  const none = (message: string, line: number | null = null): Parsed => ({ data: null, trouble: { message, line }, where: () => null });
  if (text.length > MOST_BYTES || new TextEncoder().encode(text).length > MOST_BYTES) return none(say("too_large", { kib: MOST_BYTES / 1024 }));
  if (text.length > MOST_FOR_A_FORM) return none(say("too_large", { kib: MOST_FOR_A_FORM / 1024 }));
  if (isDeep(text)) return none(say("too_deep", { levels: MOST_LEVELS }));
  const lines = new LineCounter();
  try {
    const doc = parseDocument(text, { ...OPTIONS, lineCounter: lines });
    const lineAt = (offset: number): number => lines.linePos(offset).line;
    const [error] = doc.errors;
    if (error) return none(error.message.split("\n")[0] ?? "", lineAt(error.pos[0]));
    if (doc.contents === null) return none(say("empty"));
    if (!isMap(doc.contents)) return none(say("no_mapping"), 1);
    const seen = { merged: 0 };
    const twice = keyTwice(doc.contents, 0, seen);
    if (seen.merged > MOST_MERGED) return none(say("aliases"));
    if (twice) return none(say("twice", { key: twice.key }), lineAt(twice.at));
    const data = doc.toJS({ maxAliasCount: MOST_ALIASES }) as Data;
    return { data, trouble: null, where: (dotted) => lineOf(doc, lineAt, dotted) };
  } catch (error) {
    if (error instanceof RangeError) return none(say("too_deep", { levels: MOST_LEVELS }));
    return none(error instanceof ReferenceError ? say("aliases") : String(error));
  }
}

/** Flow collections within each other, further than a campaign may go: seen before anything is built. */
function isDeep(text: string): boolean {
  let level = 0;
  for (const c of text.replace(/"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|(?:^|\s)#[^\n]*/g, "")) {
    if (c === "[" || c === "{") level++;
    else if (c === "]" || c === "}") level = Math.max(0, level - 1);
    if (level > MOST_LEVELS) return true;
  }
  // Each level of the other kind takes at least one space more.
  return new RegExp(`^ {${4 * MOST_LEVELS}}|(?:[-?] ){${MOST_LEVELS}}`, "m").test(text);
}

function keyTwice(node: unknown, level: number, found: { merged: number }): { key: string; at: number } | null {
  if (level > MOST_LEVELS) throw new RangeError("too deep");
  if (!isCollection(node)) return null;
  const seen = new Set<string>();
  for (const item of node.items) {
    if (isPair(item)) {
      const key = isScalar(item.key) ? String(item.key.value) : "";
      const merges = isScalar(item.key) && item.key.value === "<<";
      if (merges) found.merged += isSeq(item.value) ? item.value.items.length : 1;
      if (!merges && seen.has(key)) return { key, at: (item.key as Node).range?.[0] ?? 0 };
      seen.add(key);
    }
    const inner = keyTwice(isPair(item) ? item.value : item, level + 1, found);
    if (inner) return inner;
  }
  return null;
}

/** Of `sweep.engine.max_batch_size`, whose last key has a dot in it; of the nearest section where it
 * does not stand. */
function lineOf(doc: Document, lineAt: (offset: number) => number, dotted: string): number | null {
  let rest = dotted.split(".").filter(Boolean);
  let here: unknown = doc.contents;
  let found: number | null = null;
  while (rest.length > 0) {
    if (isAlias(here)) here = here.resolve(doc);
    if (isSeq(here)) {
      const item: unknown = here.items[Number(rest[0])];
      if (item === undefined) break;
      const range = (item as Node).range;
      if (range) found = lineAt(range[0]);
      here = item;
      rest = rest.slice(1);
      continue;
    }
    if (!isMap(here)) break;
    const step = stepInto(here, rest);
    if (!step) break;
    found = lineAt(step.at);
    here = step.value;
    rest = rest.slice(step.taken);
  }
  return found;
}

function stepInto(map: YAMLMap, rest: readonly string[]): { at: number; value: unknown; taken: number } | null {
  for (let taken = rest.length; taken > 0; taken--) {
    const name = rest.slice(0, taken).join(".");
    const pair = map.items.find((p) => isScalar(p.key) && String(p.key.value) === name);
    if (pair) return { at: (pair.key as Node).range?.[0] ?? 0, value: pair.value, taken };
  }
  return null;
}

/** `value`: undefined takes the key away. */
export interface Edit {
  readonly path: Path;
  readonly value: unknown;
}

/** The order in which sections are written that were not there before. */
const SECTIONS = [
  "version", "name", "models", "backends", "engine", "args", "sweep", "sampler", "exclude", "experiments", "baseline",
  "workload", "generate", "device", "measure", "gpus", "parallel_blocks", "launcher", "submit", "trust_remote_code", "limits",
];
/** Sections that are left out when nothing is left in them; an engine without settings stays. */
const LEFT_OUT = new Set(["engine", "args", "sweep", "generate", "device", "measure"]);

/** The text with these values in it. Only for text that parses. */
export function edited(text: string, edits: readonly Edit[]): string {
  return edits.reduce(one, text);
}

function one(text: string, { path, value }: Edit): string {
  const doc = parseDocument(text, OPTIONS);
  if (doc.errors.length > 0 || !isMap(doc.contents)) return text;
  const there = nodeAt(doc, path);
  if (value === undefined) return there === undefined ? text : without(doc, path);
  const spliced = there === undefined ? null : inPlace(text, there, value);
  if (spliced !== null) return spliced;
  put(doc, path, value);
  return doc.toString(WRITTEN);
}

function nodeAt(doc: Document, path: Path): Node | undefined {
  let here: unknown = doc.contents;
  for (const key of path) {
    if (isAlias(here)) here = here.resolve(doc);
    if (!isCollection(here)) return undefined;
    here = here.get(key, true);
    if (here === undefined) return undefined;
  }
  return (here ?? undefined) as Node | undefined;
}

/** Only the value's own characters change, so that even how comments are aligned stays. */
function inPlace(text: string, node: Node, value: unknown): string | null {
  const range = node.range;
  if (!range) return null;
  const [start, end] = range;
  const before = text.slice(start, end);
  if (before === "" || before.includes("\n") || before.includes("#")) return null;
  if (isScalar(node) && !node.anchor && node.type !== "BLOCK_FOLDED" && node.type !== "BLOCK_LITERAL") {
    const now = isPlain(value) ? scalar(value) : flow(value);
    return now === null ? null : text.slice(0, start) + now + text.slice(end);
  }
  if (isCollection(node) && node.flow && !node.anchor) {
    const now = isPlain(value) ? scalar(value) : flow(value);
    return now === null ? null : text.slice(0, start) + now + text.slice(end);
  }
  return null;
}

function isPlain(value: unknown): value is string | number | boolean | null {
  return value === null || typeof value !== "object";
}

function put(doc: Document, path: Path, value: unknown): void {
  let here = doc.contents as YAMLMap;
  for (const [i, key] of path.entries()) {
    const found: unknown = here.get(key, true);
    const next = isAlias(found) ? found.resolve(doc) : found;
    if (i === path.length - 1) {
      const node = made(doc, value);
      if (found !== undefined) {
        // What was said of the old value is said of the new one.
        const old = found as Node;
        if (old?.comment) node.comment = old.comment;
        here.set(key, node);
      } else add(doc, here, key, node);
      return;
    }
    if (isCollection(next)) {
      here = next as YAMLMap;
      continue;
    }
    const rest = path.slice(i + 1).reduceRight<unknown>((inner, k) => ({ [k]: inner }), value);
    const node = made(doc, rest);
    if (found === undefined) add(doc, here, key, node);
    else {
      if ((found as Node | null)?.comment) node.commentBefore = (found as Node).comment ?? null;
      here.set(key, node);
    }
    return;
  }
}

function made(doc: Document, value: unknown): Node {
  const node = doc.createNode(value) as Node;
  flowing(node);
  return node;
}

function add(doc: Document, map: YAMLMap, key: Key, node: Node): void {
  const pair = doc.createPair(key, node);
  if (map !== doc.contents) {
    map.add(pair);
    return;
  }
  const place = SECTIONS.indexOf(String(key));
  const isBefore = map.items.map((p) => {
    const its = isScalar(p.key) ? SECTIONS.indexOf(String(p.key.value)) : -1;
    return its >= 0 && its < place;
  });
  const after = isBefore.lastIndexOf(true);
  // A file that keeps its sections apart goes on to.
  if (map.items.some((p) => isScalar(p.key) && p.key.spaceBefore) && isScalar(pair.key)) pair.key.spaceBefore = true;
  map.items.splice(after + 1, 0, pair as never);
}

function without(doc: Document, path: Path): string {
  const map = doc.contents as YAMLMap;
  doc.deleteIn(path);
  const parent = path.slice(0, -1);
  const left = nodeAt(doc, parent);
  const isEmpty = isCollection(left) && left.items.length === 0;
  if (isEmpty && parent.length === 1 && LEFT_OUT.has(String(parent[0]))) map.delete(parent[0]);
  // `args: {}` of one engine says nothing; the engine itself stays.
  else if (isEmpty && parent.length === 3 && parent[0] === "backends") {
    doc.deleteIn(parent);
    const engine = nodeAt(doc, parent.slice(0, 2));
    if (isCollection(engine) && engine.items.length === 0) engine.flow = true;
  }
  return doc.toString(WRITTEN);
}
