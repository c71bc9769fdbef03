/** Takes the server's page of the leaderboard over, once the same answers are here. */
import { effect } from "@preact/signals";
import { render } from "preact";
import { Explorer } from "../explore/Explorer";
import { FileSource } from "../explore/file_source";
import { HttpSource } from "../explore/http_source";
import { linksOf } from "../explore/links";
import { Store } from "../explore/store";

export default function mount(element: HTMLElement): void {
  const links = linksOf(element);
  const store = new Store(links.api !== null ? new HttpSource(links.api) : new FileSource(links.index ?? ""));
  const stop = effect(() => {
    if (!store.ready.value || !store.cloud.value) return;
    queueMicrotask(() => stop());
    const height = heightOf(element);
    element.replaceChildren();
    render(<Explorer store={store} links={links} height={height} />, element);
  });
}

/** Of the drawing that the page came with, so that nothing below it moves. */
function heightOf(element: HTMLElement): number | null {
  for (const drawing of element.querySelectorAll<HTMLElement>("#chart-scatter .drawing"))
    if (drawing.offsetHeight > 0) return Math.min(drawing.offsetHeight, 640);
  return null;
}
