/** Batches of events as they come, each once and in order, whatever happens to the connection: by the number
 * of the last one that was taken, it goes on from there. */
import { eventsOf, type LiveEvent } from "./events";

export type Connection = "connecting" | "open" | "waiting" | "ended";

/** What is used of an EventSource. */
export interface Source {
  addEventListener(name: string, heard: (event: MessageEvent<string>) => void): void;
  close(): void;
}
export interface StreamOptions {
  /** `…?after=0` is added to it. */
  readonly address: string;
  /** The last one that is known already. */
  readonly after: number;
  readonly take: (events: LiveEvent[], number: number) => void;
  readonly changed: (connection: Connection) => void;
  readonly open?: (address: string) => Source;
  readonly later?: (then: () => void, ms: number) => () => void;
  readonly chance?: () => number;
}

const FIRST_MS = 800;
const LONGEST_MS = 15_000;

export class Stream {
  last: number;
  connection: Connection = "connecting";
  /** When anything was heard last, by `performance.now`. */
  heard = 0;
  private source: Source | null = null;
  private delay = FIRST_MS;
  private stopWaiting: () => void = () => {};
  private missed = -1;

  constructor(private readonly options: StreamOptions) {
    this.last = options.after;
  }

  start(): void {
    this.stopWaiting();
    this.source?.close();
    this.say("connecting");
    const { address } = this.options;
    const source = (this.options.open ?? opened)(`${address}${address.includes("?") ? "&" : "?"}after=${this.last}`);
    this.source = source;
    const ours = (heard: (event: MessageEvent<string>) => void) => (event: MessageEvent<string>) => {
      if (this.source === source) heard(event);
    };
    source.addEventListener("open", ours(() => this.opened()));
    source.addEventListener("message", ours((event) => this.message(event)));
    source.addEventListener("end", ours((event) => this.end(event)));
    source.addEventListener("error", ours(() => this.again()));
  }

  /** Anew and at once: after sleep, or where nothing came for too long. */
  restart(): void {
    if (this.connection === "ended") return;
    this.delay = FIRST_MS;
    this.start();
  }

  stop(): void {
    this.stopWaiting();
    this.source?.close();
    this.source = null;
  }

  private opened(): void {
    this.heard = performance.now();
    this.say("open");
  }

  private message(event: MessageEvent<string>): void {
    const number = Number(event.lastEventId) || this.last + 1;
    if (number <= this.last) return;
    if (number > this.last + 1 && this.missed !== this.last) {
      // Once: where the server has nothing in between, it is to be believed.
      this.missed = this.last;
      this.start();
      return;
    }
    this.heard = performance.now();
    this.delay = FIRST_MS;
    this.say("open");
    this.last = number;
    this.options.take(read(event.data), number);
  }

  private end(event: MessageEvent<string>): void {
    if (Number(event.data) > this.last && this.missed !== this.last) {
      this.missed = this.last;
      this.start();
      return;
    }
    this.stop();
    this.say("ended");
  }

  /** A browser would try again by itself, but not after every answer, nor less often in time. */
  private again(): void {
    this.stop();
    this.say("waiting");
    const { later = timer, chance = Math.random } = this.options;
    this.stopWaiting = later(() => this.start(), this.delay * (0.75 + 0.5 * chance()));
    this.delay = Math.min(LONGEST_MS, this.delay * 1.7);
  }

  private say(connection: Connection): void {
    if (connection === this.connection) return;
    this.connection = connection;
    this.options.changed(connection);
  }
}

function read(data: string): LiveEvent[] {
  try {
    return eventsOf(JSON.parse(data));
  } catch {
    return [];
  }
}

function opened(address: string): Source {
  return new EventSource(address);
}

function timer(then: () => void, ms: number): () => void {
  const id = setTimeout(then, ms);
  return () => clearTimeout(id);
}
