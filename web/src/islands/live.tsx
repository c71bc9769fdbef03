/** A campaign while it runs, or replayed: takes the place of what the server wrote of its state. */
import "../style/live.css";
import { signal } from "@preact/signals";
import { render } from "preact";
import { type About, wordsOf } from "../live/about";
import { isFinal } from "../live/events";
import { Live, type Told } from "../live/live";
import { loadRecording, Replay } from "../live/replay";
import { NotThere } from "../live/loading";
import { type Screen, screen as screenOf } from "../live/screen";
import { t } from "../live/text";
import { View } from "../live/View";
import { dataOf } from "../page/islands";

const POLL_MS = 10_000;

declare global {
  interface Window {
    /** What came, for tests. */
    __lem_live?: { readonly screen: Screen; readonly told: Told | null };
  }
}

export default function mount(element: HTMLElement): void {
  const about = dataOf(element) as About | null;
  if (!about) return;
  const screen = screenOf();
  screen.position.value = about.position;
  const replay = signal<Replay | null>(null);
  const watch = signal<(() => void) | null>(null);
  const play = async (from: "begin" | "end"): Promise<void> => {
    watch.value = null;
    screen.problem.value = "";
    try {
      screen.loading.value = 0;
      const recording = await loadRecording(about.recording ?? "", (bytes) => (screen.loading.value = bytes));
      if (recording.count === 0) throw new NotThere(404);
      replay.value = new Replay(recording, screen);
      if (from === "begin") {
        replay.value.go(0);
        replay.value.play();
      }
    } catch (error) {
      screen.problem.value = t("no_recording", { why: wordsOf(error) });
    } finally {
      screen.loading.value = null;
    }
  };
  const live = about.events && !isFinal(about.state) ? new Live(screen, { events: about.events, recording: about.recording }, ended) : null;
  window.__lem_live = { screen, told: live?.told ?? null };
  element.replaceChildren();
  render(<View screen={screen} about={about} replay={replay} watch={watch} />, element);
  if (live) {
    void live.start();
    if (about.queue) waitInLine(about.queue, screen);
  } else if (about.recording) void play("end");

  function ended(): void {
    for (const hidden of document.querySelectorAll<HTMLElement>("[data-when-ended]")) hidden.hidden = false;
    if (about?.recording && !about.alone) watch.value = () => void play("begin");
  }
}

/** Its place in the queue, for as long as it waits. */
function waitInLine(address: string, screen: Screen): void {
  const ask = async (): Promise<void> => {
    const state = screen.state.peek()?.state ?? "queued";
    if (state !== "queued" && state !== "lost") {
      screen.position.value = null;
      if (isFinal(state)) clearInterval(id);
      return;
    }
    if (document.hidden) return;
    const answer = await fetch(address, { cache: "no-store" }).catch(() => null);
    if (!answer?.ok) return;
    const { position } = (await answer.json()) as { position?: unknown };
    screen.position.value = typeof position === "number" ? position : null;
  };
  const id = setInterval(() => void ask(), POLL_MS);
}
