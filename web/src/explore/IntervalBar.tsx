/** A figure with its interval on a line that all rows of the table share. */
import type { JSX } from "preact";
import type { Figure } from "./source";

export type Reach = readonly [low: number, high: number];
const WIDTH = 120;

export function IntervalBar({ found, reach }: { found: Figure; reach: Reach }): JSX.Element {
  const [low, high] = reach;
  const at = (value: number): number => Math.round((10 * WIDTH * (value - low)) / (high - low || 1)) / 10;
  const u = found.uncertainty;
  return (
    <svg class="interval" width={WIDTH + 8} height="10" viewBox={`-4 0 ${WIDTH + 8} 10`} aria-hidden="true">
      <line class="axis" x1="0" x2={WIDTH} y1="5" y2="5" />
      {u !== null && <line class="whisker" x1={at(found.value - u)} x2={at(found.value + u)} y1="5" y2="5" />}
      <circle class={u === null ? "hollow" : "mark"} cx={at(found.value)} cy="5" r="3" />
    </svg>
  );
}
