/** How fast a recording goes by. */
export const SPEEDS = [1, 4, 16, 64] as const;
export type Speed = (typeof SPEEDS)[number];
/** A page that was asleep does not jump. */
const LONGEST_STEP_MS = 250;

export interface Playing {
  readonly position: number;
  readonly playing: boolean;
  readonly speed: Speed;
  readonly skip: boolean;
}

/** After `passed` ms on the page. `afterWait`: see `Recording`. */
export function played(before: Playing, passed: number, length: number, afterWait: (position: number) => number): Playing {
  if (!before.playing) return before;
  const gone = before.position + Math.min(LONGEST_STEP_MS, Math.max(0, passed)) * before.speed;
  const position = Math.min(length, before.skip ? afterWait(gone) : gone);
  return { ...before, position, playing: position < length };
}
