/** A recording that is played on the screen. */
import { signal } from "@preact/signals";
import { eachLine } from "./loading";
import { type Playing, played, type Speed } from "./play";
import { Cursor, Recording, type RunMark } from "./recording";
import type { Screen } from "./screen";

export async function loadRecording(address: string, progress?: (bytes: number) => void): Promise<Recording> {
  const recording = new Recording();
  await eachLine(address, (line) => recording.add(line), progress ? { progress } : {});
  return recording;
}

export class Replay {
  readonly playing = signal<Playing>({ position: 0, playing: false, speed: 1, skip: true });
  private readonly cursor: Cursor;
  private frame = 0;
  private then = 0;

  constructor(
    readonly recording: Recording,
    private readonly screen: Screen,
  ) {
    this.cursor = new Cursor(recording);
    this.go(recording.length);
  }

  get length(): number {
    return this.recording.length;
  }

  go(position: number): void {
    this.playing.value = { ...this.playing.value, position: Math.min(this.length, Math.max(0, position)) };
    this.draw();
  }

  /** To where its measurement is about to begin. */
  jump(run: RunMark): void {
    this.go(run.window === null ? run.from : Math.max(run.from, run.window - 500));
  }

  play(): void {
    const { position } = this.playing.value;
    this.playing.value = { ...this.playing.value, position: position >= this.length ? 0 : position, playing: true };
    this.then = performance.now();
    this.draw();
  }

  pause(): void {
    this.playing.value = { ...this.playing.value, playing: false };
  }

  set(more: { speed?: Speed; skip?: boolean }): void {
    this.playing.value = { ...this.playing.value, ...more };
  }

  private draw(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame(this.step);
  }

  private readonly step = (now: number): void => {
    this.frame = 0;
    const { recording } = this;
    this.playing.value = played(this.playing.value, now - this.then, recording.length, (p) => recording.afterWait(p));
    this.then = now;
    this.cursor.go(this.playing.value.position);
    this.screen.show(this.cursor.model, this.cursor.now);
    if (this.playing.value.playing) this.draw();
  };
}
