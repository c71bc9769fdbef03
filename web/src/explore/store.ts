/** What the explorer knows: the view, which is the page's address, and the answers to it. */
import { batch, computed, type ReadonlySignal, signal } from "@preact/signals";
import { type Board, type Cloud, type Facets, type Placed, Refused, type Source } from "./source";
import { question, read, type View, write } from "./view";

export const ROWS = 50;

type Asked = "board" | "facets" | "cloud";

export class Store {
  readonly view = signal<View>(read(location.search));
  readonly board = signal<Board | null>(null);
  readonly facets = signal<Facets | null>(null);
  readonly cloud = signal<Cloud | null>(null);
  /** Id → the configuration's place among the points, and both figures: of the rows of the board. */
  readonly placed = signal<ReadonlyMap<string, Placed>>(new Map());
  /** Ids: of the row of the table that is pointed at, and of the point. */
  readonly linked = signal<string | null>(null);
  readonly pointed = signal<string | null>(null);
  /** What could not be answered → why. */
  readonly problems = signal<Readonly<Partial<Record<Asked, string>>>>({});
  readonly problem: ReadonlySignal<string | null> = computed(() => Object.values(this.problems.value)[0] ?? null);
  readonly waiting = signal(0);
  /** Something is there to be shown. */
  readonly ready: ReadonlySignal<boolean> = computed(() => this.board.value !== null && this.facets.value !== null);
  private readonly asked = { board: "", facets: "", cloud: "" };
  private abort = { board: new AbortController(), facets: new AbortController(), cloud: new AbortController() };
  private retried = 0;
  private wanted = false;

  constructor(readonly source: Source) {
    window.addEventListener("popstate", () => {
      this.view.value = read(location.search);
      this.load();
    });
    this.load();
  }

  /** `replace`: no step of its own for the browser's way back, as while somebody types. */
  change(view: View, replace = false): void {
    const query = write(view);
    const address = `${location.pathname}${query && `?${query}`}${location.hash}`;
    if (replace) history.replaceState(null, "", address);
    else history.pushState(null, "", address);
    this.view.value = view;
    this.load();
  }

  /** Ask what the view needs and was not asked yet. */
  load(): void {
    const view = this.view.value;
    const about = question(view);
    this.ask("board", [about.metric, view.cursor, view.filters], (signal) =>
      this.source.leaderboard(about, { cursor: view.cursor, limit: ROWS }, signal),
    );
    this.ask("facets", [view.filters], (signal) => this.source.facets(about, signal));
    this.ask("cloud", [about.x, about.y, view.filters], (signal) => this.source.scatter(about, signal));
  }

  /** The board comes into view: from now on its rows have both figures, and their points. */
  place(): void {
    if (this.wanted) return;
    this.wanted = true;
    this.together();
  }

  again(): void {
    this.asked.board = this.asked.facets = this.asked.cloud = "";
    this.load();
  }

  private ask<K extends Asked>(
    what: K,
    about: unknown,
    make: (signal: AbortSignal) => Promise<Exclude<Store[K]["value"], null>>,
  ): void {
    const key = JSON.stringify(about);
    if (this.asked[what] === key) return;
    this.asked[what] = key;
    this.abort[what].abort();
    const abort = (this.abort[what] = new AbortController());
    this.waiting.value++;
    make(abort.signal)
      .then(
        (found) => {
          if (abort.signal.aborted) return;
          batch(() => {
            (this[what].value as unknown) = found;
            // Figures and places of rows are those of the points before.
            if (what === "cloud") this.placed.value = new Map();
            this.says(what, null);
          });
          this.together();
        },
        (error: unknown) => {
          if (!abort.signal.aborted) this.failed(what, error);
        },
      )
      .finally(() => this.waiting.value--);
  }

  private failed(what: Asked, error: unknown): void {
    this.asked[what] = "";
    if (error instanceof Refused && error.reason === "cursor_expired" && this.view.value.cursor) {
      // Ranks of two states are no ranks: from the beginning.
      this.change({ ...this.view.value, cursor: null }, true);
      return;
    }
    batch(() => {
      this.says(what, error instanceof Refused ? said(error) : String(error));
      // What is shown is the answer to what is asked, or nothing. Filters stay, to be taken back.
      if (what === "board") this.board.value = null;
      if (what === "cloud") {
        this.cloud.value = null;
        this.placed.value = new Map();
      }
    });
  }

  says(what: Asked, problem: string | null): void {
    const { [what]: _, ...others } = this.problems.value;
    this.problems.value = problem === null ? others : { ...others, [what]: problem };
  }

  /** Once board and points are there: which point each row of the board is. */
  private together(): void {
    const [board, facets, cloud] = [this.board.value, this.facets.value, this.cloud.value];
    if (!board || !facets || !cloud) return;
    if (new Set([board.data_version, facets.data_version, cloud.data_version]).size > 1) {
      // The archive changed between two answers. Once: the next change may be long in coming.
      if (this.waiting.value <= 1 && this.retried++ < 3) this.again();
      return;
    }
    this.retried = 0;
    if (!this.wanted) return;
    const ids = board.rows.map((row) => row.configuration.id);
    cloud.rowsOf(ids).then(
      (found) => {
        if (this.cloud.value !== cloud || this.board.value !== board) return;
        this.placed.value = new Map(found.map((one) => [one.id, one]));
      },
      () => {
        this.placed.value = new Map();
      },
    );
  }
}

function said(error: Refused): string {
  return error.hint ? `${error.message} (${error.hint})` : error.message;
}
