/** `<button data-copy="text" hidden>` and `<button data-copy-from="#id" hidden>`: a link, an embed, a
 * citation, a command. An address that begins with `/` or `.` is copied whole. */
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

function textOf(button: HTMLElement): string {
  const from = button.dataset.copyFrom;
  const source = from ? document.querySelector(from) : null;
  if (source instanceof HTMLInputElement || source instanceof HTMLTextAreaElement) return source.value;
  if (source) return source.textContent ?? "";
  const text = button.dataset.copy ?? "";
  return /^[/.#?]/.test(text) ? new URL(text, location.href).href : text;
}

export function copyButtons(): void {
  for (const button of document.querySelectorAll<HTMLElement>("[data-copy], [data-copy-from]")) button.hidden = false;
  const said = document.createElement("p");
  said.className = "visually-hidden";
  said.setAttribute("aria-live", "polite");
  document.body.append(said);
  document.addEventListener("click", async (e) => {
    const button = e.target instanceof Element ? e.target.closest<HTMLElement>("[data-copy], [data-copy-from]") : null;
    if (!button) return;
    const done = await copy(textOf(button));
    const before = button.dataset.text ?? button.textContent ?? "";
    button.dataset.text = before;
    said.textContent = button.textContent = t(done ? "copy.done" : "copy.failed");
    setTimeout(() => {
      button.textContent = before;
      said.textContent = "";
    }, 1500);
  });
}
