/** Batches come every now and then; what is in them is shown as it went on, a moment later. */
import type { LiveEvent } from "./events";

/** How much later: longer than from one batch to the next. */
export const BEHIND_MS = 1200;
const MOST_WAITING = 4000;
const ANOTHER_CLOCK_MS = 30_000;

export class Pacing {
  private waiting: { readonly event: LiveEvent; readonly until: number }[] = [];
  private first = 0;
  /** From the page's clock to the runner's. */
  private ahead = NaN;
  private shown = -Infinity;

  /** `now`: of the page, in ms. */
  add(events: readonly LiveEvent[], now: number): void {
    const last = events.filter((e) => e.k !== "state").at(-1);
    if (last) {
      const ahead = last.at - now;
      // The soonest of them all; the clocks' drift is let in little by little.
      this.ahead = Math.abs(ahead - this.ahead) < ANOTHER_CLOCK_MS ? Math.max(ahead, this.ahead - 2) : ahead;
    }
    for (const event of events) this.waiting.push({ event, until: now + 1.5 * BEHIND_MS });
  }

  get left(): number {
    return this.waiting.length - this.first;
  }

  /** The runner's time that is shown at this time of the page. */
  time(now: number): number {
    return now + this.ahead - BEHIND_MS;
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
