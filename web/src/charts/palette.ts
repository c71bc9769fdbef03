/** The page's colours, for what is drawn on a canvas: those of its CSS variables. */
export interface Palette {
  readonly ink: string;
  readonly muted: string;
  readonly line: string;
  readonly paper: string;
  readonly grid: string;
  readonly accent: string;
  /** `--c-0`, which is grey, to `--c-7`. */
  readonly series: readonly string[];
  readonly font: string;
}

const FALLBACK = {
  ink: "#1d2733",
  muted: "#5b6673",
  line: "#d9dee4",
  paper: "#ffffff",
  grid: "#e3e6e9",
  accent: "#0b6bcb",
  series: ["#7b838a", "#0072b2", "#d55e00", "#00875f", "#b8558c", "#a87100", "#2f92cf", "#1d2329"],
} as const;

export function paletteOf(element: Element): Palette {
  const style = getComputedStyle(element);
  const of = (name: string, otherwise: string): string => style.getPropertyValue(`--${name}`).trim() || otherwise;
  return {
    ink: of("ink", FALLBACK.ink),
    muted: of("muted", FALLBACK.muted),
    line: of("line", FALLBACK.line),
    paper: of("paper", FALLBACK.paper),
    grid: of("grid", FALLBACK.grid),
    accent: of("accent", FALLBACK.accent),
    series: FALLBACK.series.map((colour, i) => of(`c-${i}`, colour)),
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
