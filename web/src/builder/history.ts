/** The text, and the ways back and forth between what it was. */
import { batch, computed, type ReadonlySignal, signal } from "@preact/signals";

const MOST = 200;
const TOGETHER_MS = 1000;

export class History {
  private readonly now = signal("");
  private readonly before = signal<readonly string[]>([]);
  private readonly after = signal<readonly string[]>([]);
  private last = { what: "", at: 0 };

  constructor(
    start: string,
    private readonly clock: () => number = Date.now,
  ) {
    this.now.value = start;
  }

  get text(): ReadonlySignal<string> {
    return this.now;
  }

  readonly canUndo = computed(() => this.before.value.length > 0);
  readonly canRedo = computed(() => this.after.value.length > 0);

  /** `what` is being done: the same within a second, as while a slider moves, is one step. */
  put(text: string, what = ""): void {
    const at = this.clock();
    const goesOn = what !== "" && what === this.last.what && at - this.last.at < TOGETHER_MS;
    this.last = { what, at };
    if (!goesOn) this.step(text);
    else if (text !== this.now.value)
      batch(() => {
        this.now.value = text;
        this.after.value = [];
      });
  }

  undo(): void {
    const last = this.before.value.at(-1);
    if (last === undefined) return;
    this.last = { what: "", at: 0 };
    batch(() => {
      this.after.value = [...this.after.value, this.now.value];
      this.before.value = this.before.value.slice(0, -1);
      this.now.value = last;
    });
  }

  redo(): void {
    const next = this.after.value.at(-1);
    if (next === undefined) return;
    this.last = { what: "", at: 0 };
    batch(() => {
      this.before.value = [...this.before.value, this.now.value];
      this.after.value = this.after.value.slice(0, -1);
      this.now.value = next;
    });
  }

  private step(text: string): void {
    if (text === this.now.value) return;
    batch(() => {
      this.before.value = [...this.before.value, this.now.value].slice(-MOST);
      this.after.value = [];
      this.now.value = text;
    });
  }
}
