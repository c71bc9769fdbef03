import { beforeEach, expect, test, vi } from "vitest";
import type { LiveEvent } from "../../src/live/events";
import { LEAST_BEHIND_MS, MOST_BEHIND_MS, Pacing } from "../../src/live/pacing";
import { type Connection, type Source, Stream } from "../../src/live/stream";
import { batches, power } from "./made";

/** A server with all batches, and what a browser makes of it. */
class Connections {
  readonly opened: { address: string; heard: Map<string, (event: MessageEvent<string>) => void>; closed: boolean }[] = [];
  readonly waits: (() => void)[] = [];

  readonly open = (address: string): Source => {
    const one = { address, heard: new Map<string, (event: MessageEvent<string>) => void>(), closed: false };
    this.opened.push(one);
    return {
      addEventListener: (name, heard) => one.heard.set(name, heard),
      close: () => (one.closed = true),
    };
  };

  readonly later = (then: () => void): (() => void) => {
    this.waits.push(then);
    return () => this.waits.splice(this.waits.indexOf(then), 1);
  };

  get last() {
    return this.opened.at(-1) ?? expect.fail("nothing was opened");
  }

  say(name: string, data: unknown = "", id: number | string = "", of = this.last): void {
    of.heard.get(name)?.({ data: typeof data === "string" ? data : JSON.stringify(data), lastEventId: String(id) } as MessageEvent<string>);
  }

  send(number: number): void {
    this.say("message", batches[number - 1] ?? [], number);
  }
}

let browser = new Connections();
let taken: number[] = [];
let said: Connection[] = [];
let got: LiveEvent[] = [];
function stream(after = 0): Stream {
  [browser, taken, said, got] = [new Connections(), [], [], []];
  return new Stream({
    address: "/events",
    after,
    take: (events, number) => {
      taken.push(number);
      got.push(...events);
    },
    changed: (c) => said.push(c),
    open: browser.open,
    later: browser.later,
    chance: () => 0.5,
  });
}
beforeEach(() => {
  vi.useRealTimers();
});

test("each batch comes once and in order, whatever breaks", () => {
  stream().start();
  expect(browser.last.address).toBe("/events?after=0");
  browser.say("open");
  for (const n of [1, 2, 3]) browser.send(n);
  browser.say("error");
  expect(said).toEqual(["open", "waiting"]);
  expect(browser.last.closed).toBe(true);
  browser.waits.pop()?.();
  expect(browser.last.address).toBe("/events?after=3");
  // A server that begins too early doubles nothing.
  for (const n of [2, 3, 4, 5]) browser.send(n);
  // One that leaves something out is asked again, from where it was.
  browser.send(9);
  expect(browser.last.address).toBe("/events?after=5");
  for (const n of [6, 7, 8, 9]) browser.send(n);
  expect(taken).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(got).toEqual(batches.slice(0, 9).flat());
});

test("what an old connection still says is not heard", () => {
  const found = stream();
  found.start();
  const [old] = browser.opened;
  found.restart();
  browser.say("message", batches[0], 1, old);
  browser.say("error", "", "", old);
  expect([taken, browser.opened.length, browser.waits.length]).toEqual([[], 2, 0]);
});

test("it tries again ever less often, and at once after sleep", () => {
  const found = stream(41);
  found.start();
  for (let i = 0; i < 5; i++) {
    browser.say("error");
    browser.waits.pop()?.();
  }
  expect(browser.opened.length).toBe(6);
  expect(browser.opened.every((o) => o.address === "/events?after=41")).toBe(true);
  browser.say("error");
  found.restart();
  expect([browser.opened.length, browser.waits.length]).toEqual([7, 0]);
});

test("an answer that is refused, as by 429 or 503, is asked for again: a browser would not", () => {
  vi.useFakeTimers();
  const opened: Connections["opened"] = [];
  const connections = new Connections();
  const found = new Stream({
    address: "/events",
    after: 7,
    take: () => {},
    changed: () => {},
    open: (address) => {
      const source = connections.open(address);
      opened.push(connections.last);
      return source;
    },
    chance: () => 0.5,
  });
  found.start();
  const times: number[] = [];
  for (let n = 1; n <= 8; n++) {
    // All that an EventSource says of such an answer; then it is closed for good.
    connections.say("error");
    expect([found.connection, connections.last.closed]).toEqual(["waiting", true]);
    const before = Date.now();
    vi.advanceTimersToNextTimer();
    times.push(Date.now() - before);
    expect(opened).toHaveLength(n + 1);
  }
  expect(times[0]).toBe(800);
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect(times.at(-1)).toBe(15_000);
  connections.say("open");
  connections.say("message", batches[7] ?? [], 8);
  expect([found.connection, found.last]).toEqual(["open", 8]);
  found.stop();
});

test("the end is believed once everything is there", () => {
  const found = stream();
  found.start();
  browser.send(1);
  browser.say("end", "3");
  expect(browser.last.address).toBe("/events?after=1");
  browser.send(2);
  browser.send(3);
  browser.say("end", "3");
  expect([found.connection, browser.last.closed]).toEqual(["ended", true]);
  found.restart();
  expect(browser.opened.length).toBe(2);
});

test("a gap that the server has itself is passed", () => {
  stream().start();
  browser.send(1);
  browser.send(5);
  browser.send(5);
  expect(taken).toEqual([1, 5]);
});

const at = (ms: number): LiveEvent => power(1_000_000 + ms, 1, 1);

test("events are shown a moment later, in their order and at their pace", () => {
  const pacing = new Pacing();
  pacing.add([at(0), at(400), at(800)], 5000);
  // The runner's 1 000 800 is the page's 5000, and the first is 800 ms late.
  expect(pacing.due(5000)).toEqual([]);
  expect(pacing.due(5000 + LEAST_BEHIND_MS)).toEqual([at(0)]);
  expect(pacing.due(5000 + LEAST_BEHIND_MS + 700)).toEqual([at(400)]);
  expect(pacing.due(5000 + LEAST_BEHIND_MS + 800)).toEqual([at(800)]);
  expect(pacing.left).toBe(0);
});

/** How late each of so many events is shown that come `every` ms in batches of `size`, each as much later as said. */
function lateness(every: number, size: number, events: number, later: (batch: number) => number): number[] {
  const pacing = new Pacing();
  const found: number[] = [];
  const told: { readonly by: number; readonly events: LiveEvent[] }[] = [];
  for (let n = 0; n < events; n += size) {
    const ms = [...Array(size).keys()].map((i) => (n + i) * every);
    told.push({ by: (ms.at(-1) ?? 0) + later(n / size), events: ms.map(at) });
  }
  for (let now = 0; now < events * every + 3000; now += 16) {
    while (told[0] && told[0].by <= now) pacing.add(told.shift()?.events ?? [], now);
    for (const event of pacing.due(now)) found.push(now - (event.at - 1_000_000));
  }
  expect(found).toHaveLength(events);
  return found;
}

test("as little later as the batches allow", () => {
  const soon = lateness(100, 1, 300, () => 40);
  expect(Math.max(...soon)).toBeLessThanOrEqual(40 + LEAST_BEHIND_MS + 32);
  // A batch of ten in a second: the first of each is told 900 ms after it was.
  const seldom = lateness(100, 10, 300, () => 40).slice(20);
  expect(Math.min(...seldom)).toBeGreaterThan(850);
  // Jitter is waited for, and forgotten again where it ends.
  const once = lateness(100, 1, 300, (n) => (n === 50 ? 500 : 40));
  expect(once[55]).toBeGreaterThan(300);
  expect(Math.max(...once.slice(250))).toBeLessThanOrEqual(40 + LEAST_BEHIND_MS + 32);
});

test("what comes long after it was is shown at once, and nothing else waits for it", () => {
  const pacing = new Pacing();
  pacing.add([at(60_000)], 0);
  pacing.due(1000);
  pacing.add([at(45_000), at(45_100)], 1000);
  expect(pacing.due(1001)).toHaveLength(2);
  pacing.add([{ k: "window", at: 1_000_000, n: 0, begins: true, tokens: 0 }, at(62_000)], 2000);
  expect(pacing.due(2000 + LEAST_BEHIND_MS + 4)).toHaveLength(2);
});

test("nothing waits for long, nor does much", () => {
  const pacing = new Pacing();
  pacing.add([power(1_000_000, 1, 1)], 0);
  pacing.add([{ k: "state", at: 9_000_000, state: "lost" }, power(1_000_100, 1, 1)], 100);
  // A clock far ahead holds nothing up.
  expect(pacing.due(2 * MOST_BEHIND_MS + 100)).toHaveLength(3);
  pacing.add([...Array(10_000).keys()].map((i) => power(1_010_000 + i, 1, 1)), 5000);
  pacing.due(5001);
  expect(pacing.left).toBeLessThanOrEqual(4000);
  pacing.due(5001, true);
  expect(pacing.left).toBe(0);
});

test("its time never goes back, unless another clock's began", () => {
  const pacing = new Pacing();
  pacing.add([power(1_000_000, 1, 1)], 0);
  const first = pacing.steady(1000);
  pacing.add([power(999_000, 1, 1)], 1010);
  expect(pacing.steady(1011)).toBeGreaterThanOrEqual(first);
  pacing.add([power(5_000_000, 1, 1)], 1020);
  expect(pacing.steady(1020)).toBeGreaterThan(4_900_000);
  pacing.add([power(2_000_000, 1, 1)], 1030);
  expect(pacing.steady(1030)).toBeLessThan(2_000_001);
});
