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
