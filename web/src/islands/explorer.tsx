/** Takes the server's page of the leaderboard over, once the same answers are here. */
import { effect } from "@preact/signals";
import { options, render } from "preact";
import { Explorer } from "../explore/Explorer";
import { HttpSource } from "../explore/http_source";
import { type Links, linksOf } from "../explore/links";
import type { Source } from "../explore/source";
import { Store } from "../explore/store";

/** The file's own code is loaded only where there is a file to answer from. */
async function sourceOf(links: Links): Promise<Source> {
  if (links.api !== null) return new HttpSource(links.api);
  const { FileSource } = await import("../explore/file_source");
  return new FileSource(links.index ?? "");
}

export default async function mount(element: HTMLElement): Promise<void> {
  options.debounceRendering = afterPaint;
  const links = linksOf(element);
  const store = new Store(await sourceOf(links));
  const stop = effect(() => {
    if (!store.ready.value || !store.cloud.value) return;
    queueMicrotask(() => stop());
    const before = heightOf(element);
    element.replaceChildren();
    render(<Explorer store={store} links={links} />, element);
    const after = heightOf(element);
    const plot = element.querySelector<HTMLElement>(".plot");
    // So that nothing below the chart moves.
    if (plot && before && after) plot.style.height = `${Math.min(640, Math.max(340, plot.offsetHeight + before - after))}px`;
  });
}

/** Down to the end of the chart. */
function heightOf(element: HTMLElement): number | null {
  const chart = element.querySelector("#chart-scatter");
  return chart ? chart.getBoundingClientRect().bottom - element.getBoundingClientRect().top : null;
}

/** What follows from a key or a tap is drawn after the browser has shown that it came: the box ticked,
 * the cursor moved. In a page that is not seen, where nothing is painted, at once. */
function afterPaint(then: () => void): void {
  if (document.hidden) setTimeout(then);
  else requestAnimationFrame(() => setTimeout(then));
}
