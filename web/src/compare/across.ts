/** The ratio of two absolute figures, and what it says: as lem/archive/queries/ratios.py has them for
 * configurations that no campaign ran side by side. */
import type { Configuration, Figure } from "../explore/source";
import { maybe, t } from "../text";
import { places, plain } from "../words";
import { normalQuantile } from "./quantile";

export type Verdict = "less" | "more" | "same" | "cannot_tell";
export interface Ratio {
  readonly basis: "within campaign" | "across campaigns";
  readonly ratio: number | null;
  readonly low: number | null;
  readonly high: number | null;
  /** Joint confidence of so many comparisons. */
  readonly level: number;
  readonly comparisons: number;
  readonly blocks: number | null;
  readonly campaign: string | null;
  /** Why there is no interval. */
  readonly reason: string | null;
  readonly verdict: Verdict;
  readonly words: string;
}
/** What a ratio is of: one configuration, its figure of the metric, and its likelihood. */
export interface Known {
  readonly configuration: Configuration;
  readonly figure: Figure | null;
  readonly likelihood: Figure | null;
}

export const LEVEL = 0.95;
export const MARGIN = 0.02;

/** The ratio with its interval, both uncertainties entering, each by its longer side on the logarithmic
 * scale; wider for several comparisons by Bonferroni's factor of normal quantiles. Null where there is
 * no ratio. */
export function across(
  own: Figure | null,
  base: Figure | null,
  comparisons: number,
): Pick<Ratio, "low" | "high" | "reason"> & { readonly ratio: number } | null {
  if (!own || !base || own.value <= 0 || base.value <= 0) return null;
  const ratio = own.value / base.value;
  const without = [own, base].find((f) => f.uncertainty === null);
  if (without) return { ratio, low: null, high: null, reason: `a figure has no uncertainty: ${plain(without.why_no_uncertainty ?? "")}` };
  const relative = [own, base].map((f) => (f.uncertainty ?? 0) / f.value);
  if (Math.max(...relative) >= 1) return { ratio, low: null, high: null, reason: "an uncertainty is as large as its figure" };
  const wider = normalQuantile(1 - (1 - LEVEL) / 2 / comparisons) / normalQuantile(0.5 + LEVEL / 2);
  const half = wider * Math.hypot(...relative.map((u) => -Math.log1p(-u)));
  return { ratio, low: ratio * Math.exp(-half), high: ratio * Math.exp(half), reason: null };
}

/** Of the interval: the same where all of it lies within ±2 %, else whether it leaves 1 out. */
export function verdict(ratio: number, low: number | null, high: number | null): Verdict {
  if (low === null || high === null) return "cannot_tell";
  const half = Math.log(high / ratio);
  const centre = Math.log(ratio);
  if (Math.log1p(-MARGIN) < centre - half && centre + half < Math.log1p(MARGIN)) return "same";
  if (high < 1) return "less";
  return low > 1 ? "more" : "cannot_tell";
}

/** Of energy per output token, to the baseline. */
export function ratioAcross(own: Known, base: Known, comparisons: number): Ratio {
  const common = { basis: "across campaigns", level: LEVEL, comparisons, blocks: null, campaign: null } as const;
  const found = across(own.figure, base.figure, comparisons);
  if (!found) {
    const reason = "one of them has no such figure";
    return { ...common, ratio: null, low: null, high: null, reason, verdict: "cannot_tell", words: `no ratio: ${reason}` };
  }
  const says = verdict(found.ratio, found.low, found.high);
  return { ...common, ...found, verdict: says, words: inWords(found, says, own) + price(own, base, says) };
}

function inWords(found: { ratio: number; low: number | null; high: number | null; reason: string | null }, says: Verdict, own: Known): string {
  const noun = nounOf(own.configuration.energy_class);
  const basis = "of figures from different campaigns";
  if (says === "same") return `the same ${noun} within ±${general(100 * MARGIN)} %, ${basis}`;
  if (says === "cannot_tell") {
    const why = found.reason ? ` (${found.reason})` : "";
    return `it cannot be told whether ${noun} differs${why}, ${basis}`;
  }
  const ends = [found.low ?? NaN, found.high ?? NaN].map((r) => Math.abs(100 * (r - 1)));
  const amount = `${general(Math.abs(100 * (found.ratio - 1)))} % (${general(Math.min(...ends))} to ${general(Math.max(...ends))})`;
  return `${amount} ${says} ${noun}, ${basis}`;
}

function nounOf(energyClass: string): string {
  return t("compare.noun", { owner: maybe(`compare.owner.${energyClass}`) ?? plain(energyClass) });
}

/** A saving of a model whose answers may be worse is not free. The index does not say of which tokens a
 * likelihood is, so that it never tells whether answers are as good. */
function price(own: Known, base: Known, says: Verdict): string {
  if (says !== "less" || !own.likelihood || !base.likelihood) return "";
  return "; whether its answers are as good cannot be told from its likelihood";
}

/** To three significant digits, as Python's `.3g`. */
export function general(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const [digits = "", power = "0"] = value.toExponential(2).split("e");
  const exponent = Number(power);
  if (exponent >= -4 && exponent < 3) return String(Number(value.toPrecision(3)));
  return `${Number(digits)}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

/** `0.588 (0.562–0.615)`: to two digits of half the interval's width, its ends rounded outwards. */
export function ratioText({ ratio, low, high }: Pick<Ratio, "ratio" | "low" | "high">): string {
  if (ratio === null) return t("compare.no_ratio");
  if (low === null || high === null) return t("compare.no_interval", { ratio: String(Number(ratio.toPrecision(2))) });
  const wide = high > 100 * low;
  const decimals = Math.min(places((high - low) / 2), 5);
  const [first, last] = wide ? [Math.max(0, places(low) - 1), Math.max(0, places(high) - 1)] : [decimals, decimals];
  const said = ratio.toFixed(wide ? places(ratio) : decimals);
  return `${said} (${outwards(low, first, Math.floor)}–${outwards(high, last, Math.ceil)})`;
}

function outwards(value: number, decimals: number, to: (x: number) => number): string {
  // A last digit that is but floating point's is none.
  return (to(Number((value * 10 ** decimals).toFixed(6))) / 10 ** decimals).toFixed(decimals);
}
