/** Two runs side by side: the one under way and one that is done, or any two of recordings. */
import { type Signal, useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { plain } from "../words";
import { type About, wordsOf } from "./about";
import { type Chosen, meant, meantBy, readChosen, written } from "./pair";
import { PairPlayer } from "./PairPlayer";
import { Playable, Underway } from "./Pair";
import type { Recording, RunMark } from "./recording";
import { loadRecording } from "./replay";
import type { Screen } from "./screen";
import { type Tape, tapeOf } from "./tape";
import { t } from "./text";
import { armName, statusName } from "./words";

const QUEUED_ID = /^q[0-9a-f]{20}$/;

export interface BesideProps {
  readonly screen: Screen;
  readonly about: About;
  /** Of this campaign, where it is replayed. */
  readonly recording: Recording | null;
}

interface Choice {
  readonly left: Chosen | null;
  readonly right: Chosen | null;
  readonly with: string | null;
}

export function choiceOf(search: string): Choice | null {
  const asked = new URLSearchParams(search);
  const other = asked.get("with");
  const choice = {
    left: readChosen(asked.get("left")),
    right: readChosen(asked.get("right")),
    with: other !== null && QUEUED_ID.test(other) ? other : null,
  };
  return choice.left || choice.right || choice.with ? choice : null;
}

/** The page's address with this choice in it. */
export function addressOf(href: string, choice: Choice | null): string {
  const address = new URL(href);
  const put = (name: string, value: string | null): void => {
    if (value === null) address.searchParams.delete(name);
    else address.searchParams.set(name, value);
  };
  put("left", choice?.left ? written(choice.left) : null);
  put("right", choice?.right ? written(choice.right) : null);
  put("with", choice?.with ?? null);
  return address.href;
}

export function Beside({ screen, about, recording }: BesideProps): JSX.Element | null {
  const choice = useSignal<Choice | null>(choiceOf(location.search));
  const choose = (next: Choice | null): void => {
    choice.value = next;
    history.replaceState(history.state, "", addressOf(location.href, next));
  };
  const start: Choice = recording ? { ...firstTwo(recording.runs), with: null } : { left: "now", right: null, with: null };
  return (
    <section class="beside" aria-labelledby="beside">
      <h2 id="beside">{t("beside.heading")}</h2>
      <p>{t("beside.lead")}</p>
      {choice.value ? (
        <Chooser screen={screen} about={about} recording={recording} choice={choice.value} choose={choose} />
      ) : (
        <button type="button" onClick={() => choose(start)}>
          {t("beside.open")}
        </button>
      )}
    </section>
  );
}

/** The first two of different experiments in one block, where there are such. */
function firstTwo(runs: readonly RunMark[]): { left: Chosen | null; right: Chosen | null } {
  const made = meantBy(runs.filter((run) => run.window !== null && run.status !== "failed" && run.status !== "void"));
  const left = made[0] ?? null;
  const right = made.find((run) => left && run.arm !== left.arm && run.block === left.block) ?? made[1] ?? null;
  return { left, right };
}

interface ChooserProps extends BesideProps {
  readonly choice: Choice;
  readonly choose: (choice: Choice | null) => void;
}

function Chooser({ screen, about, recording, choice, choose }: ChooserProps): JSX.Element {
  const problem = useSignal("");
  const busy = useSignal(false);
  const other = useSignal<Recording | null>(null);
  const pair = useSignal<PairPlayer | null>(null);
  const tape = useSignal<Tape | null>(null);
  useOther(about, choice.with, other, busy, problem);
  const left = recording && choice.left === "now" ? null : choice.left;
  const rightIn = choice.with ? other.value : recording;
  useEffect(() => {
    problem.value = "";
    pair.value?.stop();
    pair.value = null;
    tape.value = null;
    if (!choice.right || choice.right === "now") return undefined;
    if (recording && left && rightIn) {
      const found = [taped(recording, left), taped(rightIn, choice.right)] as const;
      if (found[0] && found[1]) pair.value = started(new PairPlayer(found[0], found[1]));
      else problem.value = t("beside.failed", { why: t("beside.unknown") });
    } else if (!recording) {
      let wanted = true;
      busy.value = true;
      void ofRun(about, rightIn, choice.right)
        .then((found) => wanted && (tape.value = found))
        .catch((error: unknown) => wanted && (problem.value = t("beside.failed", { why: wordsOf(error) })))
        .finally(() => wanted && (busy.value = false));
      return () => (wanted = false);
    }
    return undefined;
  }, [recording, rightIn, choice.left && written(choice.left), choice.right && written(choice.right), choice.with]);
  useEffect(() => () => pair.peek()?.stop(), []);
  return (
    <div class="chooser">
      <div class="choosing">
        {recording ? (
          <RunField label={t("beside.left")} runs={recording.runs} screen={screen} chosen={left} choose={(run) => choose({ ...choice, left: run })} />
        ) : (
          <p class="field">
            {t("beside.left")} <strong>{t("beside.current")}</strong>
          </p>
        )}
        {about.others.length > 0 && (
          <label class="field">
            {t("beside.campaign")}
            <select value={choice.with ?? ""} onChange={(e) => choose({ ...choice, with: e.currentTarget.value || null, right: null })}>
              <option value="">{t("beside.this")}</option>
              {about.others.map(({ id, name }) => (
                <option key={id} value={id}>
                  {plain(name, 80)}
                </option>
              ))}
            </select>
          </label>
        )}
        <RunField
          label={t("beside.right")}
          runs={rightIn ? rightIn.runs : doneIn(screen)}
          screen={screen}
          arms={rightIn?.end.arms}
          chosen={choice.right}
          choose={(run) => choose({ ...choice, right: run })}
        />
        <button type="button" class="quiet" onClick={() => choose(null)}>
          {t("beside.close")}
        </button>
      </div>
      {busy.value && <p role="status">{t("beside.loading")}</p>}
      {problem.value && <p class="problem" role="alert">{problem.value}</p>}
      {pair.value && <Playable pair={pair.value} sameCampaign={choice.with === null} />}
      {tape.value && <Underway screen={screen} tape={tape.value} sameCampaign={choice.with === null} />}
    </div>
  );
}

type Choosable = Pick<RunMark, "arm" | "block" | "attempt" | "status"> & { readonly window?: number | null };

interface RunFieldProps {
  readonly label: string;
  readonly runs: readonly Choosable[];
  readonly screen: Screen;
  readonly arms?: Screen["arms"]["value"] | undefined;
  readonly chosen: Chosen | null;
  readonly choose: (run: Chosen | null) => void;
}

function RunField({ label, runs, screen, arms = screen.arms.value, chosen, choose }: RunFieldProps): JSX.Element {
  const options = meantBy(runs.filter((run) => run.window !== null));
  if (options.length === 0) return <p class="field">{t("beside.none_yet")}</p>;
  return (
    <label class="field long">
      {label}
      <select value={chosen ? written(chosen) : ""} onChange={(e) => choose(readChosen(e.currentTarget.value))}>
        <option value="">{t("beside.none")}</option>
        {options.map((run) => (
          <option key={written(run)} value={written(run)}>
            {runName(run, arms[run.arm])}
          </option>
        ))}
      </select>
    </label>
  );
}

export function runName(run: Choosable, arm: Screen["arms"]["value"][number] | undefined): string {
  const name = t("replay.run", { experiment: armName(arm, run.arm), block: run.block + 1 });
  const whole = run.attempt > 0 ? t("replay.run_attempt", { run: name, attempt: run.attempt + 1 }) : name;
  return run.status === "done" ? whole : t("replay.run_status", { run: whole, status: statusName(run.status) });
}

function doneIn(screen: Screen): Choosable[] {
  const found: Choosable[] = [];
  screen.cells.value.forEach((row, arm) =>
    (row ?? []).forEach((cell, block) => {
      if (cell && cell.status !== "running" && cell.status !== "failed") found.push({ arm, block, attempt: cell.attempt, status: cell.status });
    }),
  );
  return found;
}

function taped(recording: Recording, chosen: Chosen): Tape | null {
  if (chosen === "now") return null;
  const run = meant(recording.runs.filter((r) => r.window !== null), chosen);
  return run ? tapeOf(recording, run) : null;
}

/** Of the campaign that goes on, the recording so far is asked for; only the run is kept of it. */
async function ofRun(about: About, other: Recording | null, chosen: Chosen): Promise<Tape> {
  if (!about.recording) throw new Error(t("beside.unknown"));
  const found = taped(other ?? (await loadRecording(about.recording)), chosen);
  if (!found) throw new Error(t("beside.unknown"));
  return found;
}

function useOther(about: About, id: string | null, other: Signal<Recording | null>, busy: Signal<boolean>, problem: Signal<string>): void {
  const asked = useRef<string | null>(null);
  useEffect(() => {
    asked.current = id;
    other.value = null;
    if (!id || !about.other_recording) return;
    busy.value = true;
    loadRecording(about.other_recording.replace("ID", id))
      .then((found) => {
        if (asked.current === id) other.value = found;
      })
      .catch((error: unknown) => {
        problem.value = t("beside.failed", { why: wordsOf(error) });
      })
      .finally(() => {
        busy.value = false;
      });
  }, [id]);
}

/** At once, unless nothing is to move by itself. */
function started(pair: PairPlayer): PairPlayer {
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) pair.toggle();
  return pair;
}

