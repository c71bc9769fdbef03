/** Where one is on the page, and ways to lead elsewhere: to a line of the file, to a field of the form. */
import { signal } from "@preact/signals";
import { type Field, isFolded } from "./fields";

export const WIDE = "(min-width: 64rem)";

export class Places {
  readonly tab = signal<"form" | "file">("form");
  readonly isWide = signal(true);
  readonly more = signal(false);
  /** Set by the editor: focuses it with this line chosen. */
  toLine: (line: number) => void = () => undefined;

  constructor() {
    const wide = matchMedia(WIDE);
    this.isWide.value = wide.matches;
    wide.addEventListener("change", () => (this.isWide.value = wide.matches));
  }

  line(line: number): void {
    this.tab.value = "file";
    // Once it is drawn.
    requestAnimationFrame(() => this.toLine(line));
  }

  field(field: Field): void {
    this.tab.value = "form";
    if (isFolded(field)) this.more.value = true;
    requestAnimationFrame(() => requestAnimationFrame(() => focus(field)));
  }
}

/** The first thing in it that can be changed, or itself. */
function focus(field: Field): void {
  const element = document.getElementById(idOf(field));
  if (!element) return;
  const inner = element.querySelector<HTMLElement>("input:not([hidden]), select, textarea, button");
  (inner ?? element).focus();
  element.scrollIntoView({ block: "nearest" });
}

export function idOf(field: Field): string {
  return `field-${field.replaceAll(".", "-")}`;
}
