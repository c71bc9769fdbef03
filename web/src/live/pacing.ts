/** Batches come every now and then; what is in them is shown as it went on, a moment later. */
import type { LiveEvent } from "./events";

/** How much later, at most. */
export const MOST_BEHIND_MS = 1200;
/** And at least: about the time between two frames and a stutter. */
export const LEAST_BEHIND_MS = 30;
/** So much less, with each batch that comes, than the latest of the last ones needs. */
const CALMED_MS = 3;
const MOST_WAITING = 4000;
const ANOTHER_CLOCK_MS = 30_000;

export class Pacing {
  private waiting: { readonly event: LiveEvent; readonly until: number }[] = [];
  private first = 0;
  /** From the page's clock to the runner's. */
  private ahead = NaN;
  /** How much later what comes is shown: as late as the latest of what came lately. */
  private behind = LEAST_BEHIND_MS;
  private shown = -Infinity;

  /** `now`: of the page, in ms. */
  add(events: readonly LiveEvent[], now: number): void {
    // An edge of a window is told later than what went on with it.
    const timed = events.filter((e) => e.k !== "state" && e.k !== "window");
    const [first, last] = [timed[0], timed.at(-1)];
    if (first && last) {
      const ahead = last.at - now;
      // The soonest of them all; the clocks' drift is let in little by little.
      this.ahead = Math.abs(ahead - this.ahead) < ANOTHER_CLOCK_MS ? Math.max(ahead, this.ahead - 2) : ahead;
      const needed = now + this.ahead - first.at + LEAST_BEHIND_MS;
      // What comes long after it was, as after a connection was lost, is not waited for.
      if (needed <= MOST_BEHIND_MS) this.behind = Math.max(needed, this.behind - CALMED_MS);
    }
    for (const event of events) this.waiting.push({ event, until: now + 1.5 * MOST_BEHIND_MS });
  }

  get left(): number {
    return this.waiting.length - this.first;
  }

  /** The runner's time that is shown at this time of the page. */
  time(now: number): number {
    return now + this.ahead - this.behind;
  }

  /** Those whose time has come, in their order. `all`: nobody looks on. */
  due(now: number, all = false): LiveEvent[] {
    const at = this.time(now);
    const found: LiveEvent[] = [];
    const most = all ? 0 : MOST_WAITING;
    for (let next = this.waiting[this.first]; next; next = this.waiting[this.first]) {
      if (this.left <= most && next.event.at > at && next.until > now && !all) break;
      found.push(next.event);
      this.first += 1;
    }
    if (this.first > 1000 || this.left === 0) {
      this.waiting = this.waiting.slice(this.first);
      this.first = 0;
    }
    return found;
  }

  /** That time, never going back. */
  steady(now: number): number {
    const time = this.time(now);
    if (Number.isNaN(time)) return this.shown;
    this.shown = Math.abs(time - this.shown) > ANOTHER_CLOCK_MS ? time : Math.max(this.shown, time);
    return this.shown;
  }
}
