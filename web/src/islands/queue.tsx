/** The list of campaigns, asked for again now and then: what the server wrote is put in the place of what it
 * wrote before. */
import "../style/queue.css";
import { t } from "../live/text";

const EVERY_MS = 10_000;
const LONGEST_MS = 120_000;

export default function mount(element: HTMLElement): void {
  const said = document.createElement("p");
  said.className = "visually-hidden";
  said.setAttribute("role", "status");
  element.after(said);
  let wait = EVERY_MS;
  let timer = 0;
  const again = (): void => {
    clearTimeout(timer);
    timer = window.setTimeout(() => void ask(), wait);
  };
  const ask = async (): Promise<void> => {
    if (!document.hidden) {
      const fresh = await listOf(location.href);
      wait = fresh ? EVERY_MS : Math.min(LONGEST_MS, 2 * wait);
      if (fresh && put(element, fresh)) said.textContent = t("queue.updated");
    }
    again();
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    wait = EVERY_MS;
    void ask();
  });
  again();
}

async function listOf(address: string): Promise<Element | null> {
  try {
    const answer = await fetch(address, { cache: "no-store" });
    if (!answer.ok) return null;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    return page.querySelector('[data-island="queue"]');
  } catch {
    return null;
  }
}

/** Part for part, so that what did not change stays, with its focus and its place. Whether a campaign's
 * state changed. */
function put(element: HTMLElement, fresh: Element): boolean {
  let changed = false;
  for (const part of fresh.querySelectorAll("[data-part]")) {
    const name = part.getAttribute("data-part");
    const old = element.querySelector(`[data-part="${name}"]`);
    if (!old || old.innerHTML === part.innerHTML) continue;
    const focused = old.contains(document.activeElement) ? document.activeElement?.getAttribute("href") : null;
    old.replaceChildren(...part.childNodes);
    if (focused) [...old.querySelectorAll<HTMLElement>("a")].find((a) => a.getAttribute("href") === focused)?.focus();
    changed ||= part.hasAttribute("data-state");
  }
  return changed;
}
