/** What the builder knows. The text is the campaign; all else follows from it. */
import { batch, computed, effect, type ReadonlySignal, signal } from "@preact/signals";
import type { Answer, Estimate, Plan, Runner, Who, Wrong } from "./answers";
import { encoded } from "./codec";
import { type Data, type Edit, edited, parsed, type Parsed } from "./document";
import { type Field, fieldOf } from "./fields";
import { History } from "./history";
import { backendsOf } from "./reading";
import type { Server, Wish } from "./server";
import { t } from "./text";

export interface Backend {
  readonly name: string;
  readonly loads: readonly string[];
}
export interface Known {
  readonly start: string;
  readonly small: { readonly model: Readonly<Record<string, unknown>>; readonly parameters: string; readonly licence: string };
  readonly backends: readonly Backend[];
  readonly models: readonly (readonly [name: string, configurations: number, size: string | null])[];
}
/** A problem with where it is. */
export interface Placed {
  readonly message: string;
  readonly line: number | null;
  readonly field: Field | null;
}
export type Checked = "checking" | "fine" | "wrong" | "offline" | "often" | "failed" | "unread";

const AFTER_TYPING_MS = 600;
/** Between two checks: a server answers thirty a minute. */
const APART_MS = 2100;
const OFFLINE_MS = 15_000;
const KEPT_MS = 300;

export class Store {
  readonly text: ReadonlySignal<string>;
  readonly parsed: ReadonlySignal<Parsed>;
  /** Null while the file can't be read. */
  readonly data: ReadonlySignal<Data | null>;
  readonly backends: ReadonlySignal<readonly string[]>;
  readonly plan = signal<Plan | null>(null);
  /** Whether `plan` is of the file as it is now. */
  readonly isFresh = signal(false);
  readonly checked = signal<Checked>("checking");
  readonly failure = signal("");
  readonly wrong = signal<readonly Wrong[]>([]);
  readonly problems: ReadonlySignal<readonly Placed[]>;
  readonly who = signal<Answer<Who> | null>(null);
  readonly runners = signal<Answer<readonly Runner[]> | null>(null);
  /** Said once, politely. */
  readonly said = signal("");
  private readonly history: History;
  private timer = 0;
  private keeping = 0;
  /** Of which text the problems are. */
  private readonly answered = signal("");
  private abort = new AbortController();
  private last = 0;

  constructor(
    readonly known: Known,
    private readonly server: Server,
    start: string,
  ) {
    this.history = new History(start);
    this.text = this.history.text;
    this.parsed = computed(() => parsed(this.text.value, (what, values) => t(`trouble.${what}`, values)));
    this.data = computed(() => this.parsed.value.data);
    this.backends = computed(() => (this.data.value ? backendsOf(this.data.value) : []));
    this.problems = computed(() => this.placed());
    effect(() => {
      void this.text.value;
      this.changed();
    });
    void this.people();
  }

  get canUndo(): ReadonlySignal<boolean> {
    return this.history.canUndo;
  }

  get canRedo(): ReadonlySignal<boolean> {
    return this.history.canRedo;
  }

  /** By hand. What is typed in one go is undone in one go. */
  type(text: string): void {
    this.history.put(text, "typing");
  }

  /** By the form. */
  edit(...edits: readonly Edit[]): void {
    if (this.data.value) this.history.put(edited(this.text.value, edits), edits.map((e) => e.path.join(".")).join(" "));
  }

  /** Something else altogether. */
  replace(text: string): void {
    this.history.put(text);
  }

  undo(): void {
    this.history.undo();
  }

  redo(): void {
    this.history.redo();
  }

  async people(): Promise<void> {
    const [who, runners] = await Promise.all([this.server.who(), this.server.runners()]);
    batch(() => {
      this.who.value = who;
      this.runners.value = runners;
    });
  }

  queue(wish: Wish): ReturnType<Server["queue"]> {
    return this.server.queue(this.text.value, wish);
  }

  get estimate(): Estimate | null {
    return this.plan.value?.estimate ?? null;
  }

  of(field: Field): readonly Placed[] {
    return this.problems.value.filter((p) => p.field === field);
  }

  private placed(): readonly Placed[] {
    const now = this.parsed.value;
    if (now.trouble) return [{ ...now.trouble, field: null }];
    const isOld = this.answered.value !== this.text.value;
    return this.wrong.value.map((one) => ({
      message: one.message,
      line: isOld ? (now.where(one.where) ?? one.line ?? null) : (one.line ?? now.where(one.where)),
      field: fieldOf(one.where),
    }));
  }

  private changed(): void {
    clearTimeout(this.timer);
    this.abort.abort();
    const text = this.text.peek();
    batch(() => {
      this.isFresh.value = false;
      this.checked.value = this.data.peek() === null ? "unread" : "checking";
      if (this.data.peek() === null) this.wrong.value = [];
    });
    clearTimeout(this.keeping);
    this.keeping = window.setTimeout(() => void keep(text), KEPT_MS);
    if (this.data.peek() === null) return;
    const wait = Math.max(AFTER_TYPING_MS, this.last + APART_MS - Date.now());
    this.timer = window.setTimeout(() => void this.check(text), wait);
  }

  private async check(text: string): Promise<void> {
    this.last = Date.now();
    const abort = (this.abort = new AbortController());
    let answer: Answer<Plan>;
    try {
      answer = await this.server.plan(text, abort.signal);
    } catch {
      return;
    }
    if (!abort.signal.aborted) batch(() => this.take(answer, text));
  }

  private take(answer: Answer<Plan>, text: string): void {
    this.answered.value = text;
    if (answer.kind === "here") {
      this.plan.value = answer.value;
      this.isFresh.value = true;
      this.wrong.value = answer.value.doubts ?? [];
      this.checked.value = this.wrong.value.length > 0 ? "wrong" : "fine";
      // It is there again.
      if (this.who.value?.kind === "offline" || this.runners.value?.kind === "offline") void this.people();
    } else if (answer.kind === "refused") {
      this.plan.value = null;
      const { errors, detail } = answer.value;
      this.wrong.value = errors.length > 0 ? errors : [{ where: "", message: detail }];
      this.checked.value = "wrong";
    } else {
      this.wrong.value = [];
      this.checked.value = answer.kind === "often" ? "often" : answer.kind === "failed" ? "failed" : "offline";
      this.failure.value = answer.kind === "failed" ? answer.why : "";
      const again = answer.kind === "often" ? answer.seconds * 1000 : OFFLINE_MS;
      this.timer = window.setTimeout(() => void this.check(text), again);
    }
  }
}

/** In the address, without a step for the browser's way back. */
async function keep(text: string): Promise<void> {
  history.replaceState(history.state, "", `${location.pathname}${location.search}#${await encoded(text)}`);
}
