/** Two tapes that are played at once, both from the beginning of their first window. */
import { signal } from "@preact/signals";
import { type Playing, played, type Speed } from "./play";
import { type Tape, TapePlayer } from "./tape";

export class PairPlayer {
  readonly playing = signal<Playing>({ position: 0, playing: false, speed: 1, skip: false });
  readonly frame = signal(0);
  readonly left: TapePlayer;
  readonly right: TapePlayer;
  private handle = 0;
  private then = 0;

  constructor(left: Tape, right: Tape) {
    this.left = new TapePlayer(left);
    this.right = new TapePlayer(right);
    this.go(0);
  }

  get length(): number {
    return Math.max(this.left.tape.length, this.right.tape.length);
  }

  go(position: number): void {
    this.playing.value = { ...this.playing.value, position };
    this.show();
  }

  readonly toggle = (): void => {
    const { playing, position } = this.playing.value;
    this.playing.value = { ...this.playing.value, playing: !playing, position: !playing && position >= this.length ? 0 : position };
    this.then = performance.now();
    this.draw();
  };

  readonly speed = (speed: Speed): void => {
    this.playing.value = { ...this.playing.value, speed };
  };

  stop(): void {
    cancelAnimationFrame(this.handle);
    this.handle = 0;
    this.playing.value = { ...this.playing.value, playing: false };
  }

  private show(): void {
    const { position } = this.playing.value;
    this.left.go(position);
    this.right.go(position);
    this.frame.value += 1;
  }

  private draw(): void {
    if (this.handle === 0) this.handle = requestAnimationFrame(this.step);
  }

  private readonly step = (now: number): void => {
    this.handle = 0;
    this.playing.value = played(this.playing.value, now - this.then, this.length, (p) => p);
    this.then = now;
    this.show();
    if (this.playing.value.playing) this.draw();
  };
}
