/** A campaign that goes on: what went before from its recording, then what comes. */
import { wordsOf } from "./about";
import { isFinal } from "./events";
import { eachLine, NotThere } from "./loading";
import { apply, empty, type Model } from "./model";
import { Pacing } from "./pacing";
import { batchOf } from "./recording";
import type { Screen } from "./screen";
import { Stream } from "./stream";

const TICK_MS = 5000;
/** Longer between two ticks: the machine was asleep. */
const ASLEEP_MS = 20_000;
/** So long without a word of a run that goes on: the connection may be dead without telling. */
const SILENT_MS = 45_000;

export interface Told {
  /** Batches and readings that were shown, for tests. */
  batches: number;
  points: number;
  last: number;
  /** The runner's time of the newest reading that was shown. */
  at: number;
}

export class Live {
  readonly model: Model = empty();
  readonly told: Told = { batches: 0, points: 0, last: 0, at: 0 };
  private readonly pacing = new Pacing();
  private stream: Stream | null = null;
  private frame = 0;
  private ticked = Date.now();
  private over = false;

  constructor(
    private readonly screen: Screen,
    private readonly addresses: { readonly events: string; readonly recording: string | null },
    private readonly ended: () => void,
  ) {}

  async start(): Promise<void> {
    const after = await this.catchUp();
    this.screen.loading.value = null;
    this.show();
    this.stream = new Stream({
      address: new URL(this.addresses.events, location.href).href,
      after,
      take: (events, number) => {
        this.told.batches += 1;
        this.told.last = number;
        this.pacing.add(events, performance.now());
        // Nobody looks on, and frames do not come: what waited would pile up.
        if (document.hidden) this.pass(true);
        this.draw();
      },
      changed: (connection) => {
        this.screen.connection.value = connection;
        if (connection === "ended") this.end();
      },
    });
    this.stream.start();
    document.addEventListener("visibilitychange", this.look);
    addEventListener("online", this.wake);
    addEventListener("pageshow", this.wake);
    setInterval(() => this.tick(), TICK_MS);
  }

  /** What was told before this page was opened; the number of the last batch of it. */
  private async catchUp(): Promise<number> {
    if (!this.addresses.recording) return 0;
    try {
      const take = (line: Uint8Array): void => {
        for (const event of batchOf(line)) this.apply(event);
        this.told.batches += 1;
      };
      const progress = (bytes: number): void => {
        this.screen.loading.value = bytes;
      };
      this.told.last = await eachLine(this.addresses.recording, take, { progress });
      return this.told.last;
    } catch (error) {
      // There is none yet: then everything comes as events. Broken off: what is known counts.
      if (!(error instanceof NotThere)) console.warn(wordsOf(error));
      return this.told.batches;
    }
  }

  private apply(event: Parameters<typeof apply>[1]): void {
    apply(this.model, event);
    if (event.k !== "power") return;
    this.told.points += 1;
    this.told.at = event.at;
  }

  private pass(all: boolean): void {
    for (const event of this.pacing.due(performance.now(), all)) this.apply(event);
  }

  /** A frame, and the next one for as long as something moves. */
  private readonly step = (): void => {
    this.frame = 0;
    this.pass(this.over);
    this.show();
    const { run, ended } = this.model;
    if (this.pacing.left > 0 || (run && !ended && !this.over)) this.draw();
  };

  private draw(): void {
    if (this.frame === 0 && !document.hidden) this.frame = requestAnimationFrame(this.step);
  }

  private show(): void {
    const time = this.over ? this.model.at : this.pacing.steady(performance.now());
    this.screen.show(this.model, Number.isFinite(time) ? time : this.model.at);
  }

  private readonly look = (): void => {
    if (document.hidden) this.pass(true);
    else {
      this.tick();
      this.draw();
    }
  };

  private readonly wake = (): void => this.stream?.restart();

  private tick(): void {
    const now = Date.now();
    const slept = now - this.ticked > ASLEEP_MS;
    this.ticked = now;
    if (!this.stream || this.over || document.hidden) return;
    const silent = this.model.run !== null && this.stream.connection === "open" && performance.now() - this.stream.heard > SILENT_MS;
    if (slept || silent) this.stream.restart();
  }

  private end(): void {
    this.over = true;
    this.pass(true);
    this.show();
    if (this.model.state && isFinal(this.model.state.state)) this.ended();
  }
}
