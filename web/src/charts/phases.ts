/** Which part of a run was when: shaded behind its readings. */
export interface Phase {
  readonly name: string;
  readonly start_s: number;
  readonly end_s: number;
  /** Whether its energy is what the run reports. */
  readonly measured: boolean;
}

export interface Band {
  readonly name: string;
  readonly measured: boolean;
  readonly left: number;
  readonly right: number;
}

/** What is seen of them, in pixels. `place`: of a second. */
export function bands(phases: readonly Phase[], place: (second: number) => number, left: number, right: number): Band[] {
  return phases.flatMap(({ name, measured, start_s, end_s }) => {
    const [from, to] = [Math.max(left, place(start_s)), Math.min(right, place(end_s))];
    return to > from ? [{ name, measured, left: from, right: to }] : [];
  });
}

/** Several lines on one clock: every time of any of them once, and null where a line has no value then. */
export function onOneClock(
  lines: readonly { readonly t_s: readonly number[]; readonly values: readonly (number | null)[] }[],
): readonly [times: number[], ...values: (number | null | undefined)[][]] {
  const times = [...new Set(lines.flatMap((line) => line.t_s))].sort((a, b) => a - b);
  const place = new Map(times.map((time, i) => [time, i]));
  const columns = lines.map(({ t_s, values }) => {
    // Undefined is joined over, null is a gap.
    const column = Array<number | null | undefined>(times.length).fill(undefined);
    t_s.forEach((time, i) => {
      column[place.get(time) ?? 0] = values[i] ?? null;
    });
    return column;
  });
  return [times, ...columns];
}
