/** One of two runs side by side: its energy in digits to be read from afar, and its words. */
import type { JSX } from "preact";
import { plain } from "../words";
import { Words } from "./Answers";
import type { Interval, ShownArm } from "./events";
import type { Model } from "./model";
import { Estimated } from "./Now";
import { perToken, type Sum } from "./pair";
import { t } from "./text";
import { armModel, armName, energyClass, joules, sharedUnit, watts, withEnds } from "./words";
import { threeDigits } from "../words";

export interface HalfProps {
  readonly side: "left" | "right";
  readonly campaign: string | null;
  readonly arm: ShownArm | undefined;
  readonly place: number;
  readonly block: number;
  readonly model: Model;
  readonly deviceClass: string | null;
  readonly sum: Sum;
  /** What a full bar is, in J. */
  readonly most: number;
  readonly interval: Interval | null;
  /** Where it is not measured yet, or no more. */
  readonly standing: "waits" | "measures" | "over";
}

export function Half(props: HalfProps): JSX.Element {
  const { side, campaign, arm, place, block, model, deviceClass, sum, most, interval, standing } = props;
  const [value, unit] = joules(sum.j);
  const each = perToken(sum);
  const per = sharedUnit([each ?? interval?.value ?? 1]);
  const answer = model.answers.find((a) => !a.ended) ?? model.answers.at(-1);
  return (
    <article class={`half is-${side}`}>
      <header>
        <h3>{t("now.what", { experiment: armName(arm, place), block: block + 1 })}</h3>
        <p class="sub">{[campaign && plain(campaign, 80), armModel(arm)].filter(Boolean).join(" · ")}</p>
      </header>
      <p class={`counter figure${sum.estimated ? " is-estimated" : ""}`}>
        <span class="value">{value}</span> <span class="unit">{unit}</span>
      </p>
      <div class="bar" aria-hidden="true">
        <span style={{ width: `${Math.min(100, (100 * sum.j) / (most || 1))}%` }} />
      </div>
      <p class={`per-token figure${sum.estimated ? " is-estimated" : ""}`}>
        {each === null ? (
          <span class="sub">{t("beside.no_tokens")}</span>
        ) : (
          <>
            <span class="value">{threeDigits(each * per.factor)}</span> <span class="unit">{per.unit}</span>
          </>
        )}
      </p>
      <p class="sub facts-line">
        {deviceClass && <span>{energyClass(deviceClass)}</span>} {sum.estimated && <Estimated />}
        <span>{t("beside.watts", { w: watts(standing === "measures" ? sum.w : 0) })}</span>
        <span>{t("beside.tokens", { n: Math.round(sum.tokens) })}</span>
      </p>
      <p class="standing">{standing === "waits" ? t("beside.wait_window") : standing === "over" ? t("beside.over") : "\u00a0"}</p>
      <Words answer={answer} />
      <p class="sub">
        {interval && deviceClass
          ? t("beside.result", { figure: `${withEnds(interval, sharedUnit([interval.value]).factor)} ${sharedUnit([interval.value]).unit}` })
          : t("beside.result_none")}
      </p>
    </article>
  );
}
