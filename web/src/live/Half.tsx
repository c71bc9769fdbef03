/** One of two runs side by side: its energy in digits to be read from afar, and its words. */
import type { JSX } from "preact";
import { plain, threeDigits, whole } from "../words";
import { Words } from "./Answers";
import type { Answer } from "./answers";
import type { Interval, ShownArm } from "./events";
import type { Model } from "./model";
import { Estimated } from "./Now";
import { perToken, type Sum } from "./pair";
import { t } from "./text";
import { armModel, armName, energyClass, joules, sharedUnit, watts, withEnds } from "./words";

export interface HalfProps {
  readonly side: "left" | "right";
  readonly campaign: string | null;
  readonly arm: ShownArm | undefined;
  readonly place: number;
  readonly block: number;
  readonly model: Model;
  readonly deviceClass: string | null;
  readonly sum: Sum;
  /** What a full gauge is, in J per token. */
  readonly most: number;
  readonly interval: Interval | null;
  /** Where it is not measured yet, or no more. */
  readonly standing: "waits" | "measures" | "over";
}

export function Half(props: HalfProps): JSX.Element {
  const { side, campaign, arm, place, block, model, deviceClass, sum, most, interval, standing } = props;
  const [value, unit] = joules(sum.j);
  const each = perToken(sum);
  const per = sharedUnit([interval?.value ?? each ?? 1]);
  const estimated = sum.estimated ? " is-estimated" : "";
  const answer = latestOf(model.answers.kept);
  return (
    <article class={`half is-${side}`}>
      <header>
        <h3>{t("now.what", { experiment: armName(arm, place), block: block + 1 })}</h3>
        <p class="sub">{[campaign && plain(campaign, 80), armModel(arm)].filter(Boolean).join(" · ")}</p>
      </header>
      <p class={`counter figure${estimated}`}>
        <span class="value">{value}</span> <span class="unit">{unit}</span>
      </p>
      <p class="for-tokens">{t("beside.for_tokens", { n: whole(Math.round(sum.tokens)) })}</p>
      <p class={`per-token figure${estimated}`}>
        {each === null ? (
          <span class="sub">{t("beside.no_tokens")}</span>
        ) : (
          <>
            <span class="value">{threeDigits(each * per.factor)}</span> <span class="unit">{per.unit}</span>
          </>
        )}
      </p>
      <div class="gauge" aria-hidden="true">
        <span style={{ width: `${Math.min(100, (100 * (each ?? 0)) / (most || 1))}%` }} />
      </div>
      <p class="sub facts-line">
        {deviceClass && <span>{energyClass(deviceClass)}</span>} {sum.estimated && <Estimated />}
        <span>{t("beside.watts", { w: watts(standing === "measures" ? sum.w : 0) })}</span>
      </p>
      <p class="standing">{standing === "waits" ? t("beside.wait_window") : standing === "over" ? t("beside.over") : "\u00a0"}</p>
      <Words answer={answer} />
      <p class="sub">
        {interval ? t("beside.result", { figure: allRuns(interval) }) : t("beside.result_none")}
      </p>
    </article>
  );
}

function allRuns(found: Interval): string {
  const { factor, unit } = sharedUnit([found.value]);
  const figure = `${withEnds(found, factor)} ${unit}`;
  return typeof found.low === "number" ? figure : `${figure}, ${t("board.no_interval")}`;
}

/** The one that was begun first of those that go on; else the one that was begun last. */
function latestOf(kept: readonly Answer[]): Answer | undefined {
  const [first, ...more] = kept.filter((a) => !a.ended);
  if (first) return more.reduce((a, b) => (b.key < a.key ? b : a), first);
  return [...kept].sort((a, b) => b.key - a.key)[0];
}
