/** The live view: what goes on, or what went on, of one campaign. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import type { About } from "./about";
import { Beside, runName } from "./Beside";
import { Board } from "./Board";
import { isFinal } from "./events";
import { Grid } from "./Grid";
import { Now } from "./Now";
import { meant, meantBy, readChosen, written } from "./pair";
import type { Replay } from "./replay";
import type { Screen } from "./screen";
import { StateLine } from "./State";
import { t } from "./text";
import { Transport } from "./Transport";

export interface ViewProps {
  readonly screen: Screen;
  readonly about: About;
  readonly replay: { readonly value: Replay | null };
  /** Where a recording can be watched: begins that. */
  readonly watch: { readonly value: (() => void) | null };
}

const MIB = 1 << 20;

export function View({ screen, about, replay, watch }: ViewProps): JSX.Element {
  const found = replay.value;
  const loading = screen.loading.value;
  const jump = (arm: number, block: number): void => {
    const run = found?.recording.runs.filter((r) => r.arm === arm && r.block === block).at(-1);
    if (run) found?.jump(run);
  };
  return (
    <div class="live-view">
      <StateLine screen={screen} about={about} replayed={found !== null} />
      {loading !== null && (
        <p role="status" class="status">
          {t(about.events && !found ? "catching_up" : "loading_n", { mib: (loading / MIB).toFixed(1) })}
        </p>
      )}
      {screen.problem.value && (
        <p class="problem" role="alert">
          {screen.problem.value}
        </p>
      )}
      {watch.value && !found && (
        <p class="actions">
          <button type="button" onClick={watch.value}>
            {t("replay.watch")}
          </button>
        </p>
      )}
      {found && <Player replay={found} screen={screen} />}
      {screen.arms.value.length > 0 || found ? (
        <>
          <Now screen={screen} replayed={found !== null} />
          <Beside screen={screen} about={about} recording={found?.recording ?? null} key={found ? "replay" : "live"} />
          <Board screen={screen} />
          <Grid screen={screen} choose={found ? jump : null} />
        </>
      ) : (
        loading === null && <p class="empty">{t(isFinal(screen.state.value?.state ?? about.state) ? "nothing" : "waits")}</p>
      )}
    </div>
  );
}

function Player({ replay, screen }: { replay: Replay; screen: Screen }): JSX.Element {
  const jumped = useSignal("");
  const { runs } = replay.recording;
  const now = replay.playing.value;
  const arms = screen.arms.value;
  return (
    <section class="player" aria-labelledby="replay">
      <h2 id="replay" class="visually-hidden">
        {t("replay.heading")}
      </h2>
      <Transport
        name="replay"
        playing={replay.playing}
        length={replay.length}
        runs={runs}
        go={(to) => replay.go(to)}
        toggle={() => (now.playing ? replay.pause() : replay.play())}
        speed={(speed) => replay.set({ speed })}
      >
        <label class="skip-waits" title={t("replay.skip_title")}>
          <input type="checkbox" checked={now.skip} onChange={(e) => replay.set({ skip: e.currentTarget.checked })} /> {t("replay.skip")}
        </label>
        <label class="jump">
          <span>{t("replay.jump")}</span>
          <select
            value={jumped.value}
            onChange={(e) => {
              jumped.value = e.currentTarget.value;
              const run = meant(runs, readChosen(jumped.value));
              if (run) replay.jump(run);
            }}
          >
            <option value="">{t("replay.jump_none")}</option>
            {meantBy(runs).map((run) => (
              <option key={written(run)} value={written(run)}>
                {runName(run, arms[run.arm])}
              </option>
            ))}
          </select>
        </label>
      </Transport>
    </section>
  );
}
