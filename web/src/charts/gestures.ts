/** What a pointer and the keys mean on a plot. */
import type { Direction } from "./picking";

export interface Gestures {
  /** The pointer is there; null: it has left. */
  hover(place: readonly [number, number] | null): void;
  click(place: readonly [number, number]): void;
  /** A box is drawn: while it is, and when it is done. */
  box(from: readonly [number, number], to: readonly [number, number], done: boolean): void;
  wheel(place: readonly [number, number], factor: number): void;
  move(direction: Direction): void;
  step(by: 1 | -1): void;
  end(last: boolean): void;
  zoom(factor: number): void;
  reset(): void;
  open(): void;
  add(): void;
  leave(): void;
}

const ARROWS: Readonly<Record<string, Direction>> = {
  ArrowLeft: "left",
  ArrowRight: "right",
  ArrowUp: "up",
  ArrowDown: "down",
};

/** Whether the key meant something. */
export function key(name: string, gestures: Gestures): boolean {
  const direction = ARROWS[name];
  if (direction) gestures.move(direction);
  else if (name === "PageDown") gestures.step(1);
  else if (name === "PageUp") gestures.step(-1);
  else if (name === "Home" || name === "End") gestures.end(name === "End");
  else if (name === "Enter") gestures.open();
  else if (name === "c") gestures.add();
  else if (name === "+" || name === "=") gestures.zoom(1.6);
  else if (name === "-") gestures.zoom(1 / 1.6);
  else if (name === "0") gestures.reset();
  else if (name === "Escape") gestures.leave();
  else return false;
  return true;
}

const DRAG = 6;

export function listen(element: HTMLElement, gestures: Gestures): void {
  let from: readonly [number, number] | null = null;
  let dragging = false;
  const place = (e: MouseEvent): readonly [number, number] => {
    const box = element.getBoundingClientRect();
    return [e.clientX - box.left, e.clientY - box.top];
  };
  element.addEventListener("pointerdown", (e) => {
    // A finger scrolls the page.
    if (e.button === 0 && e.pointerType === "mouse") from = place(e);
  });
  element.addEventListener("pointermove", (e) => {
    const at = place(e);
    if (from && (dragging || Math.hypot(at[0] - from[0], at[1] - from[1]) > DRAG)) {
      if (!dragging) element.setPointerCapture(e.pointerId);
      dragging = true;
      gestures.box(from, at, false);
    } else if (e.pointerType === "mouse") {
      gestures.hover(at);
    }
  });
  element.addEventListener("pointerup", (e) => {
    if (from && dragging) gestures.box(from, place(e), true);
    else gestures.click(place(e));
    from = null;
    dragging = false;
  });
  element.addEventListener("pointercancel", () => {
    from = null;
    dragging = false;
  });
  element.addEventListener("pointerleave", () => gestures.hover(null));
  element.addEventListener("dblclick", () => gestures.reset());
  element.addEventListener(
    "wheel",
    (e) => {
      // Without a key the page scrolls, as everywhere.
      if (!e.ctrlKey && !e.metaKey) return;
      e.preventDefault();
      gestures.wheel(place(e), Math.exp(-e.deltaY / 300));
    },
    { passive: false },
  );
  element.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (key(e.key, gestures)) e.preventDefault();
  });
}
