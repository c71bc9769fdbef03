import { expect, test } from "vitest";
import { coloursOf } from "../src/charts/colours";
import { frameOf } from "../src/charts/frame";
import { type Gestures, key } from "../src/charts/gestures";
import { PixelSheet, stampFrom } from "../src/charts/pixels";
import { between, nearer } from "../src/charts/window";
import { coloured, kindOf } from "../src/explore/plot_data";
import { frontOf } from "../src/explore/front";

const whole = { x: [1, 1000], y: [0, 50] } as const;
const frame = frameOf(900, 500, { kind: "log", span: whole.x }, { kind: "linear", span: whole.y }, (text) => 7 * text.length);

test("the plot leaves room for the numbers beside it", () => {
  expect(frame.box.left).toBeGreaterThanOrEqual(14 + 12);
  expect(frame.x(1)).toBeCloseTo(frame.box.left);
  expect(frame.y(0)).toBeCloseTo(frame.box.bottom);
  const tiny = frameOf(40, 30, { kind: "log", span: [1, 2] }, { kind: "linear", span: [0, 1] }, () => 50);
  expect(tiny.box.right).toBeGreaterThan(tiny.box.left);
  expect(tiny.box.bottom).toBeGreaterThan(tiny.box.top);
});

test("a box becomes what is looked at; a click does not", () => {
  const a = [frame.x(10), frame.y(40)] as const;
  const b = [frame.x(100), frame.y(20)] as const;
  for (const [p, q] of [[a, b], [b, a]] as const) {
    const found = between(frame, p, q);
    expect(found?.x[0]).toBeCloseTo(10);
    expect(found?.x[1]).toBeCloseTo(100);
    expect(found?.y[0]).toBeCloseTo(20);
    expect(found?.y[1]).toBeCloseTo(40);
  }
  expect(between(frame, a, [a[0] + 3, a[1] + 90])).toBe(null);
});

test("zooming keeps what is under the pointer there, and ends at the whole", () => {
  const [x, y] = [frame.x(31), frame.y(12)];
  const found = nearer(frame, whole, 2, x, y);
  if (!found) throw new Error("nothing was zoomed");
  const inner = frameOf(900, 500, { kind: "log", span: found.x }, { kind: "linear", span: found.y }, (text) => 7 * text.length);
  const place = (inner.x(31) - inner.box.left) / (inner.box.right - inner.box.left);
  expect(place).toBeCloseTo((x - frame.box.left) / (frame.box.right - frame.box.left), 6);
  expect(Math.log(found.x[1] / found.x[0])).toBeCloseTo(Math.log(1000) / 2, 6);
  expect(nearer(inner, whole, 0.25, 400, 200)).toBe(null);
  let seen = frame;
  for (let i = 0; i < 60; i++) {
    const closer = nearer(seen, whole, 2, 500, 250);
    if (!closer) throw new Error("zoomed out");
    seen = frameOf(900, 500, { kind: "log", span: closer.x }, { kind: "linear", span: closer.y }, () => 20);
    expect(closer.x[1]).toBeGreaterThan(closer.x[0]);
    expect(closer.x[0]).toBeGreaterThanOrEqual(1 - 1e-9);
    expect(closer.y[1]).toBeLessThanOrEqual(50 + 1e-9);
  }
});

test("keys mean what the description says", () => {
  const done: string[] = [];
  const gestures = new Proxy({} as Gestures, {
    get: (_, name: string) => (...given: unknown[]) => done.push([name, ...given].join(" ")),
  });
  const keys = ["ArrowLeft", "ArrowUp", "PageDown", "PageUp", "Home", "End", "Enter", "c", "+", "-", "0", "Escape"];
  expect(keys.map((name) => key(name, gestures))).toEqual(keys.map(() => true));
  expect(done).toEqual([
    "move left",
    "move up",
    "step 1",
    "step -1",
    "end false",
    "end true",
    "open",
    "add",
    "zoom 1.6",
    "zoom 0.625",
    "reset",
    "leave",
  ]);
  expect(key("Tab", gestures) || key("a", gestures)).toBe(false);
});

test("known engines keep their colour, others have what is left, the rest is grey", () => {
  expect(coloursOf(["vllm", "transformers"])).toEqual([2, 1]);
  expect(coloursOf(["new", "vllm", "other"])).toEqual([1, 2, 3]);
  expect(coloursOf(["a", "b", "c", "d", "e", "f", "g", "h"])).toEqual([1, 2, 3, 4, 5, 6, 7, 0]);
});

test("a legend counts every point once, the most frequent first", () => {
  const values = Array.from({ length: 12 }, (_, i) => `m${i}`);
  const codes = Uint16Array.from({ length: 600 }, (_, i) => Math.min(i % 13, 11));
  const { legend, colours } = coloured({ values, codes }, String);
  expect(legend.reduce((n, line) => n + line.points, 0)).toBe(600);
  expect(legend.at(-1)?.colour).toBe(0);
  expect(legend.length).toBe(8);
  for (const line of legend) expect(colours.filter((c) => c === line.colour).length).toBe(line.points);
});

test("an axis is logarithmic where values span much and all have a logarithm", () => {
  expect(kindOf(Float64Array.of(1, 100), "auto")).toBe("log");
  expect(kindOf(Float64Array.of(1, 3), "auto")).toBe("linear");
  expect(kindOf(Float64Array.of(1, 3), "log")).toBe("log");
  expect(kindOf(Float64Array.of(-1, 100), "log")).toBe("linear");
  expect(kindOf(Float64Array.of(), "auto")).toBe("linear");
});

test("the front is what comparing every pair says", () => {
  let state = 5;
  const next = (): number => (state = (state * 48271) % 2147483647) / 2147483647;
  for (let round = 0; round < 60; round++) {
    const n = 1 + Math.floor(30 * next());
    const of = (make: () => number) => Float64Array.from({ length: n }, make);
    const costs = {
      x: of(() => Math.ceil(6 * next())),
      xU: of(() => (next() < 0.3 ? NaN : 0.3 * next())),
      y: of(() => -Math.ceil(6 * next())),
      yU: of(() => 0.2 * next()),
      groups: round % 2 ? of(() => Math.floor(2 * next())) : null,
    };
    const wanted = [...costs.x.keys()].filter((i) => {
      const one = (k: "x" | "xU" | "y" | "yU", j: number): number => costs[k][j] ?? NaN;
      return ![...costs.x.keys()].some((j) => {
        if (costs.groups && costs.groups[i] !== costs.groups[j]) return false;
        const [dx, dy] = [one("x", j) - one("x", i), one("y", j) - one("y", i)];
        if (dx <= 0 && dy <= 0 && (dx < 0 || dy < 0)) return true;
        const [hx, hy] = [Math.hypot(one("xU", i), one("xU", j)), Math.hypot(one("yU", i), one("yU", j))];
        const better = dx + hx < 0 || dy + hy < 0;
        return better && dx + hx <= 0.02 * Math.abs(one("x", i)) && dy + hy <= 0.02 * Math.abs(one("y", i));
      });
    });
    expect(frontOf(costs)).toEqual(wanted);
  }
});

test("pictures are copied over each other as a canvas would", () => {
  // Two by two: opaque red, half green, nothing, nothing.
  const stamp = stampFrom(Uint8ClampedArray.of(255, 0, 0, 255, 0, 255, 0, 128, 0, 0, 0, 0, 9, 9, 9, 0), 2);
  expect([...stamp.dx]).toEqual([0, 1]);
  const sheet = new PixelSheet(3, 2);
  sheet.put(stamp, 0, 0);
  sheet.put(stamp, -1, 0);
  sheet.put(stamp, 2, 1);
  sheet.put(stamp, 1, 5);
  const pixel = (x: number, y: number) => [...sheet.data.slice(4 * (3 * y + x), 4 * (3 * y + x) + 4)];
  expect(pixel(0, 0)).toEqual([127, 128, 0, 255]);
  expect(pixel(1, 0)).toEqual([0, 255, 0, 128]);
  expect(pixel(2, 1)).toEqual([255, 0, 0, 255]);
  expect(pixel(0, 1)).toEqual([0, 0, 0, 0]);
});
