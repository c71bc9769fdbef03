/** Configurations that a reader puts aside to compare: kept by the browser, shown on every page.
 *
 * `<a data-basket href="/compare" hidden>` leads to the comparison; its `[data-basket-count]` shows how
 * many there are. `<button data-basket-add="ID" data-label="…" hidden>` puts one in or takes it out. */
import { store, stored } from "../stored";
import { t } from "../text";

export interface Kept {
  readonly id: string;
  readonly label: string;
}
export const MOST = 6;
const KEY = "lem.basket";
const ID = /^[0-9a-f]{16,64}$/;

/** What is written there by this page or an older one, or by anything else: checked. */
export function read(text: string | null): Kept[] {
  let found: unknown;
  try {
    found = JSON.parse(text ?? "[]");
  } catch {
    return [];
  }
  if (!Array.isArray(found)) return [];
  const kept: Kept[] = [];
  for (const one of found as unknown[]) {
    if (typeof one !== "object" || one === null) continue;
    const { id, label } = one as Record<string, unknown>;
    if (typeof id === "string" && ID.test(id) && !kept.some((k) => same(k.id, id)))
      kept.push({ id, label: typeof label === "string" ? label.slice(0, 300) : id });
  }
  return kept.slice(0, MOST);
}

/** Ids may be shortened to their first 16 digits. */
export function same(a: string, b: string): boolean {
  return a.slice(0, 16) === b.slice(0, 16);
}

/** With it where it was not there, without it where it was; unchanged where there is no room. */
export function toggled(kept: readonly Kept[], one: Kept): Kept[] {
  const without = kept.filter((k) => !same(k.id, one.id));
  return without.length < kept.length ? without : [...kept, one].slice(0, MOST);
}

/** The address of their comparison; the first one is its baseline. */
export function compareAddress(base: string, kept: readonly Kept[]): string {
  const [path = "", query = ""] = base.split("?");
  const asked = new URLSearchParams(query);
  for (const { id } of kept) asked.append("id", id);
  return `${path}?${asked.toString()}`;
}

const CHANGED = "lem:basket";

export function basket(): Kept[] {
  return read(stored(KEY));
}

export function toggle(one: Kept): void {
  store(KEY, JSON.stringify(toggled(basket(), one)));
  document.dispatchEvent(new CustomEvent(CHANGED));
}

export function clear(): void {
  store(KEY, null);
  document.dispatchEvent(new CustomEvent(CHANGED));
}

/** Calls back at every change, in this page or another; returns what stops that. */
export function onBasket(changed: () => void): () => void {
  const elsewhere = (e: StorageEvent): void => {
    if (e.key === KEY || e.key === null) changed();
  };
  document.addEventListener(CHANGED, changed);
  window.addEventListener("storage", elsewhere);
  return () => {
    document.removeEventListener(CHANGED, changed);
    window.removeEventListener("storage", elsewhere);
  };
}

export function basketLinks(): void {
  const show = (): void => {
    const kept = basket();
    for (const link of document.querySelectorAll<HTMLAnchorElement>("a[data-basket]")) {
      link.dataset.base ??= link.getAttribute("href") ?? "";
      link.href = kept.length > 1 ? compareAddress(link.dataset.base, kept) : link.dataset.base;
      link.hidden = kept.length === 0;
      link.setAttribute("aria-label", t("basket.link", { n: kept.length }));
      for (const n of link.querySelectorAll("[data-basket-count]")) n.textContent = String(kept.length);
    }
    for (const button of document.querySelectorAll<HTMLButtonElement>("[data-basket-add]")) {
      const inside = kept.some((k) => same(k.id, button.dataset.basketAdd ?? ""));
      button.hidden = false;
      button.disabled = !inside && kept.length >= MOST;
      button.setAttribute("aria-pressed", String(inside));
      button.textContent = t(inside ? "basket.remove" : "basket.add");
    }
  };
  document.addEventListener("click", (e) => {
    const button = e.target instanceof Element ? e.target.closest<HTMLElement>("[data-basket-add]") : null;
    const id = button?.dataset.basketAdd ?? "";
    if (button && ID.test(id)) toggle({ id, label: button.dataset.label ?? id });
  });
  onBasket(show);
  show();
}
