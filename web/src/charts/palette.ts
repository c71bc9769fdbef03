/** The page's colours, for what is drawn on a canvas: those of its CSS variables. */
export interface Palette {
  readonly ink: string;
  readonly muted: string;
  readonly line: string;
  readonly paper: string;
  readonly accent: string;
  /** `--c-1` … `--c-7`. */
  readonly series: readonly string[];
  readonly font: string;
}
export const SERIES = 7;

const FALLBACK = {
  ink: "#1d2733",
  muted: "#5b6673",
  line: "#d9dee4",
  paper: "#ffffff",
  accent: "#0b6bcb",
  series: ["#1b6ca8", "#c2571a", "#2f855a", "#8e4aa8", "#b08900", "#c43d6b", "#6b7683"],
} as const;

export function paletteOf(element: Element): Palette {
  const style = getComputedStyle(element);
  const of = (name: string, otherwise: string): string => style.getPropertyValue(`--${name}`).trim() || otherwise;
  return {
    ink: of("ink", FALLBACK.ink),
    muted: of("muted", FALLBACK.muted),
    line: of("line", FALLBACK.line),
    paper: of("panel", of("paper", FALLBACK.paper)),
    accent: of("accent", FALLBACK.accent),
    series: FALLBACK.series.map((colour, i) => of(`c-${i + 1}`, colour)),
    font: style.fontFamily || "sans-serif",
  };
}

/** Calls back when a reader or the system changes the theme; returns what stops that. */
export function onTheme(changed: () => void): () => void {
  const root = new MutationObserver(changed);
  root.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", changed);
  return () => {
    root.disconnect();
    system.removeEventListener("change", changed);
  };
}
