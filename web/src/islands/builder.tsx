/** Takes the page's place once the draft in the address has been read. */
import { render } from "preact";
import { Builder } from "../builder/Builder";
import { decoded, isText } from "../builder/codec";
import type { Here, Pages } from "../builder/context";
import { Places } from "../builder/places";
import { DRAFT } from "../builder/Run";
import { Server } from "../builder/server";
import { type Known, Store } from "../builder/store";
import { t } from "../builder/text";
import { dataOf } from "../page/islands";
import "../style/builder.css";

export default async function mount(element: HTMLElement): Promise<void> {
  const known = dataOf(element) as Known;
  const server = new Server(element.dataset.api ?? "");
  const draft = await decoded(location.hash);
  const kept = draft === null ? keptDraft() : null;
  const start = draft && "text" in draft ? draft.text : (kept ?? known.start);
  const store = new Store(known, server, start);
  if (draft && "none" in draft) store.said.value = t(`draft.${draft.none}`);
  const here: Here = { store, places: new Places(), pages: pagesOf(element) };
  window.addEventListener("hashchange", () => {
    void decoded(location.hash).then((found) => {
      if (found && "text" in found) store.replace(found.text);
      else if (found) store.said.value = t(`draft.${found.none}`);
    });
  });
  element.replaceChildren();
  render(<Builder here={here} />, element);
}

/** Of before somebody signed in, in this tab. */
function keptDraft(): string | null {
  try {
    const found = sessionStorage.getItem(DRAFT);
    sessionStorage.removeItem(DRAFT);
    return found !== null && isText(found) ? found : null;
  } catch {
    return null;
  }
}

/** In addresses that the template wrote: stand for an id. */
const QUEUED = "QUEUED";
const CONFIGURATION = "0".repeat(16);

function pagesOf(element: HTMLElement): Pages {
  const { account = "", queue = "", live = "", configuration = "", glossary = "", everyday = "", here = "" } = element.dataset;
  return {
    account,
    queue,
    glossary,
    everyday,
    here,
    live: (id) => live.replace(QUEUED, encodeURIComponent(id)),
    configuration: (id) => configuration.replace(CONFIGURATION, encodeURIComponent(id.slice(0, 16))),
  };
}
