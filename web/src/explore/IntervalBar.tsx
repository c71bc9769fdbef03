/** A figure with its interval on a line that all rows of the table share. */
import type { JSX } from "preact";
import { leastOf } from "../words";
import type { Figure } from "./source";

export type Reach = readonly [low: number, high: number];
const WIDTH = 120;

/** Where it begins and ends; not below 0 where nothing can be. */
export function intervalOf({ metric, value, uncertainty }: Figure): Reach {
  const u = uncertainty ?? 0;
  const low = value - u;
  return [leastOf(metric) === null ? low : Math.min(value, Math.max(0, low)), value + u];
}

/** An end that lies further out is an arrow at the line's own. */
export function IntervalBar({ found, reach }: { found: Figure; reach: Reach }): JSX.Element {
  const [low, high] = reach;
  const at = (value: number): number => Math.round((10 * WIDTH * (value - low)) / (high - low || 1)) / 10;
  const [first, last] = intervalOf(found);
  const [from, to] = [first, last].map((end) => at(Math.min(high, Math.max(low, end))));
  return (
    <svg class="interval" width={WIDTH + 8} height="10" viewBox={`-4 0 ${WIDTH + 8} 10`} aria-hidden="true">
      <line class="axis" x1="0" x2={WIDTH} y1="5" y2="5" />
      {found.uncertainty !== null && <line class="whisker" x1={from} x2={to} y1="5" y2="5" />}
      {found.uncertainty !== null && last > high && <path class="mark" d={`M${WIDTH + 4} 5l-6-4v8z`} />}
      {found.uncertainty !== null && first < low && <path class="mark" d="M-4 5l6-4v8z" />}
      <circle class={found.uncertainty === null ? "hollow" : "mark"} cx={at(found.value)} cy="5" r="3" />
    </svg>
  );
}
