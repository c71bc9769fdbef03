/** Which configurations no other beats in both of two metrics: as lem/archive/queries/pareto.py says. */
export interface Costs {
  /** The lower the better. */
  readonly x: Float64Array;
  readonly xU: Float64Array;
  readonly y: Float64Array;
  readonly yU: Float64Array;
  /** Only those of one group are held against each other. */
  readonly groups: ArrayLike<number> | null;
}
const MARGIN = 0.02;

/** Places of those on the front: none is ahead of them by the means, nor dominates them. */
export function frontOf(costs: Costs): number[] {
  const { x, y, groups } = costs;
  const members = new Map<number, number[]>();
  for (let i = 0; i < x.length; i++) {
    const group = groups ? (groups[i] ?? 0) : 0;
    const found = members.get(group);
    if (found) found.push(i);
    else members.set(group, [i]);
  }
  const front: number[] = [];
  for (const group of members.values()) {
    const order = [...group].sort((a, b) => (x[a] ?? 0) - (x[b] ?? 0) || (y[a] ?? 0) - (y[b] ?? 0));
    let lowest = Infinity;
    let reachedAt = NaN;
    for (const i of order) {
      const cost = y[i] ?? NaN;
      if (cost < lowest) [lowest, reachedAt] = [cost, x[i] ?? NaN];
      // Equals of one that is ahead of no other: neither is ahead of the other.
      else if (cost !== lowest || x[i] !== reachedAt) continue;
      if (!group.some((other) => dominates(costs, other, i))) front.push(i);
    }
  }
  return front.sort((a, b) => a - b);
}

/** Better beyond both uncertainties in one, and beyond them not worse by more than the margin in either. */
function dominates({ x, xU, y, yU }: Costs, other: number, one: number): boolean {
  const dx = (x[other] ?? NaN) - (x[one] ?? NaN) + Math.hypot(xU[other] ?? NaN, xU[one] ?? NaN);
  if (!(dx <= MARGIN * Math.abs(x[one] ?? NaN))) return false;
  const dy = (y[other] ?? NaN) - (y[one] ?? NaN) + Math.hypot(yU[other] ?? NaN, yU[one] ?? NaN);
  return dy <= MARGIN * Math.abs(y[one] ?? NaN) && (dx < 0 || dy < 0);
}
