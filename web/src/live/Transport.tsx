/** Play, pause, speed and place of what was recorded. */
import type { ReadonlySignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { type Playing, SPEEDS, type Speed } from "./play";
import type { RunMark } from "./recording";
import { t } from "./text";
import { clock } from "./words";

export interface TransportProps {
  readonly name: string;
  readonly playing: ReadonlySignal<Playing>;
  readonly length: number;
  readonly runs: readonly RunMark[];
  readonly go: (position: number) => void;
  readonly toggle: () => void;
  readonly speed: (speed: Speed) => void;
  readonly speeds?: readonly Speed[];
  readonly children?: ComponentChildren;
}

export function Transport({ name, playing, length, runs, go, toggle, speed, speeds = SPEEDS, children }: TransportProps): JSX.Element {
  const now = playing.value;
  return (
    <div class="transport">
      <button type="button" class="play" onClick={toggle}>
        {t(now.playing ? "replay.pause" : "replay.play")}
      </button>
      <div class="track">
        {runs.length > 0 && <Marks runs={runs} length={length} />}
        <Scrubber playing={playing} length={length} go={go} />
      </div>
      <span class="clock">
        {clock(now.position)} / {clock(length)}
      </span>
      <fieldset class="choice-row">
        <legend class="visually-hidden">{t("replay.speed")}</legend>
        {speeds.map((n) => (
          <label key={n} class={now.speed === n ? "is-chosen" : ""}>
            <input type="radio" class="visually-hidden" name={`speed-${name}`} checked={now.speed === n} onChange={() => speed(n)} />
            {t("replay.times", { n })}
          </label>
        ))}
      </fieldset>
      {children}
    </div>
  );
}

function Scrubber({ playing, length, go }: Pick<TransportProps, "playing" | "length" | "go">): JSX.Element {
  const { position } = playing.value;
  return (
    <input
      type="range"
      class="scrubber"
      aria-label={t("replay.position")}
      aria-valuetext={t("replay.position_value", { at: clock(position), all: clock(length) })}
      min={0}
      max={Math.max(1, Math.ceil(length))}
      step={Math.max(50, Math.round(length / 2000))}
      value={position}
      onInput={(e) => go(Number(e.currentTarget.value))}
    />
  );
}

/** Where the runs were, above the track. */
function Marks({ runs, length }: { runs: readonly RunMark[]; length: number }): JSX.Element {
  const bars = (wanted: (run: RunMark) => boolean): string =>
    runs
      .filter(wanted)
      .map((run) => `M${x(run.from)} 0H${Math.max(x(run.from) + 0.4, x(run.to ?? length) - 0.4)}V6H${x(run.from)}z`)
      .join("");
  const x = (position: number): number => Math.round((100_000 * position) / (length || 1)) / 100;
  const good = (run: RunMark): boolean => run.status === "done" || run.status === "running";
  return (
    <svg class="run-marks" viewBox="0 0 1000 6" preserveAspectRatio="none" aria-hidden="true">
      <path class="is-done" d={bars(good)} />
      <path class="is-other" d={bars((run) => !good(run))} />
    </svg>
  );
}
