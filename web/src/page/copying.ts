/** A button beside everything that is there to be copied (`.copyable`: a link, an embed, a citation), and
 * `<button data-copy="text" hidden>`. */
import { t } from "../text";

async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return byHand(text);
  }
}

/** Where there is no clipboard, as on a page that came without encryption. */
function byHand(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

/** What a button copies: its own text, or what stands before it. */
function textOf(button: HTMLElement): string {
  if (button.dataset.copy !== undefined) return button.dataset.copy;
  const before = button.previousElementSibling;
  return before instanceof HTMLInputElement ? before.value : (before?.textContent ?? "").trim();
}

function withButton(element: Element): void {
  if (element.nextElementSibling?.classList.contains("copy")) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet copy";
  button.textContent = t("copy.copy");
  element.after(button);
  // An address that is relative to its page is no use elsewhere.
  if (element instanceof HTMLInputElement && /^[/.#?]/.test(element.value)) element.value = new URL(element.value, location.href).href;
}

export function copyButtons(): void {
  for (const element of document.querySelectorAll(".copyable")) withButton(element);
  for (const button of document.querySelectorAll<HTMLElement>("[data-copy]")) {
    button.hidden = false;
    button.classList.add("copy");
  }
  const said = document.createElement("p");
  said.className = "visually-hidden";
  said.setAttribute("aria-live", "polite");
  document.body.append(said);
  document.addEventListener("click", async (e) => {
    const button = e.target instanceof Element ? e.target.closest<HTMLElement>("button.copy") : null;
    if (!button) return;
    const before = (button.dataset.text ??= button.textContent ?? "");
    const done = await copy(textOf(button));
    said.textContent = button.textContent = t(done ? "copy.done" : "copy.failed");
    setTimeout(() => {
      button.textContent = before;
      said.textContent = "";
    }, 1500);
  });
}
