/** One of two runs side by side: its energy in digits to be read from afar, and its words. */
import type { JSX } from "preact";
import { plain, whole } from "../words";
import { Words } from "./Answers";
import type { Answer } from "./answers";
import type { EndEvent, Interval, ShownArm } from "./events";
import type { Model, Status } from "./model";
import { Estimated } from "./Now";
import { figureOf, perToken, type Sum } from "./pair";
import { t } from "./text";
import { armModel, armName, atMostThree, ends, energyClass, joules, noUncertainty, sharedUnit, watts, withEnds } from "./words";

export interface HalfProps {
  readonly side: "left" | "right";
  readonly campaign: string | null;
  readonly arm: ShownArm | undefined;
  readonly place: number;
  readonly block: number;
  readonly model: Model;
  /** What became of the run, as far as is known: also what came after it. */
  readonly status: Status;
  readonly deviceClass: string | null;
  readonly sum: Sum;
  /** What a full gauge is, in J per token. */
  readonly most: number;
  readonly interval: Interval | null;
  /** Whether that is the campaign's last word. */
  readonly final: boolean;
  /** Where it is not measured yet, or no more. */
  readonly standing: "waits" | "measures" | "over";
}

export function Half(props: HalfProps): JSX.Element {
  const { side, campaign, arm, place, block, model, status, deviceClass, sum, most, interval, final, standing } = props;
  const each = model.ended ? (figureOf(model, deviceClass)?.value ?? null) : perToken(sum);
  const estimated = sum.estimated || deviceClass === "estimated";
  const answer = latestOf(model.answers.kept);
  return (
    <article class={`half is-${side}`}>
      <header>
        <h3>{t("now.what", { experiment: armName(arm, place), block: block + 1 })}</h3>
        <p class="sub">{[campaign && plain(campaign, 80), armModel(arm)].filter(Boolean).join(" · ")}</p>
      </header>
      {model.ended ? (
        <Result ended={model.ended} deviceClass={deviceClass} estimated={estimated} />
      ) : (
        <SoFar sum={sum} counts={model.windows.length > 0} like={interval} estimated={estimated} />
      )}
      <div class="gauge" aria-hidden="true">
        <span style={{ width: `${Math.min(100, (100 * (each ?? 0)) / (most || 1))}%` }} />
      </div>
      <p class="sub facts-line">
        {deviceClass && <span>{energyClass(deviceClass)}</span>} {estimated && <Estimated />}
        {standing === "measures" && !model.ended && <span>{Number.isNaN(sum.w) ? t("now.no_reading") : t("beside.watts", { w: watts(sum.w) })}</span>}
      </p>
      <p class="standing">{standingOf(model, status, standing)}</p>
      <Words answer={answer} />
      <p class="sub">
        {interval ? t("beside.result", { figure: allRuns(interval, final) }) : t("beside.result_none")}
      </p>
    </article>
  );
}

interface SoFarProps {
  readonly sum: Sum;
  /** Whether a window has begun. */
  readonly counts: boolean;
  /** In whose unit it is said. */
  readonly like: Interval | null;
  readonly estimated: boolean;
}

/** A counter, which is no figure: power readings, added up while it is measured. */
function SoFar({ sum, counts, like, estimated }: SoFarProps): JSX.Element {
  const [value, unit] = joules(sum.j);
  const each = perToken(sum);
  const per = sharedUnit([like?.value ?? each ?? 1]);
  const look = estimated ? " is-estimated" : "";
  return (
    <>
      <p class={`counter figure is-so-far${look}`}>
        <span class="value">{counts ? value : "–"}</span> <span class="unit">{unit}</span>
      </p>
      <p class="for-tokens">{t("beside.for_tokens", { n: whole(Math.round(sum.tokens)) })}</p>
      <p class={`per-token figure is-so-far${look}`}>
        {each === null ? (
          <span class="sub">{t(sum.tokens >= 1 ? "beside.not_read" : "beside.no_tokens")}</span>
        ) : (
          <>
            <span class="value">{atMostThree(each * per.factor)}</span> <span class="unit">{per.unit}</span>
          </>
        )}
      </p>
      <p class="sub by-readings">{t(estimated ? "by_estimates" : "by_readings")}</p>
    </>
  );
}

/** What the run's record says. */
function Result({ ended, deviceClass, estimated }: { ended: EndEvent; deviceClass: string | null; estimated: boolean }): JSX.Element {
  const found = figureOf({ ended }, deviceClass);
  const on = madeOn(ended, deviceClass);
  if (!found)
    return (
      <>
        <p class="per-token figure">
          <span class="sub">{t("beside.no_figure")}</span>
        </p>
        {on && <p class="sub made-on">{on}</p>}
      </>
    );
  const { factor, unit } = sharedUnit([found.value]);
  const { value, low, high } = ends(found, factor);
  return (
    <>
      <p class={`per-token figure is-result${estimated ? " is-estimated" : ""}`}>
        <span class="value">{value}</span> <span class="unit">{unit}</span>
      </p>
      <p class="for-tokens">{low && high ? t("result_ends", { low, high }) : t("result_no_ends")}</p>
      <p class="sub by-readings">{t("beside.of_record", { n: whole(ended.output_tokens ?? 0) })}</p>
      {on && <p class="sub made-on">{on}</p>}
    </>
  );
}

/** On which machine, and which meter its figure is of; empty where that is not told. */
export function madeOn({ hardware = "", meters = {} }: Pick<EndEvent, "hardware" | "meters">, deviceClass: string | null): string {
  const meter = deviceClass === null ? "" : (meters[deviceClass] ?? "");
  if (hardware === "") return "";
  const on = plain(hardware, 200);
  return meter === "" ? t("beside.on", { hardware: on }) : t("beside.on_by", { hardware: on, meter: plain(meter, 100) });
}

export function standingOf(model: Pick<Model, "ended" | "flags" | "windows">, status: Status, standing: HalfProps["standing"]): string {
  const { ended } = model;
  if (ended?.outcome === "failure") return t("now.ended.failed", { why: plain([ended.failure, ended.message].filter(Boolean).join(": ")) });
  if (ended?.consequence === "exclude" || ended?.consequence === "void") {
    const why = plain(ended.message || model.flags.map((f) => f.flag).join(", ") || "–");
    return t(ended.consequence === "void" ? "now.ended.void" : "now.ended.excluded", { why });
  }
  if (ended && status === "void") return t("beside.block_void");
  if (standing === "waits") return t("beside.wait_window");
  if (ended || standing === "over") return t("beside.over");
  return model.windows.at(-1)?.to === null ? "\u00a0" : t("beside.pauses");
}

function allRuns(found: Interval, final: boolean): string {
  const { factor, unit } = sharedUnit([found.value]);
  const figure = `${withEnds(found, factor)} ${unit}`;
  if (typeof found.low !== "number") return `${figure}, ${noUncertainty(null, final)}`;
  const certain = t("beside.result_ends", { figure });
  return final ? certain : t("beside.result_provisional", { figure: certain });
}

/** The one that was begun first of those that go on; else the one that was begun last. */
function latestOf(kept: readonly Answer[]): Answer | undefined {
  const [first, ...more] = kept.filter((a) => !a.ended);
  if (first) return more.reduce((a, b) => (b.key < a.key ? b : a), first);
  return [...kept].sort((a, b) => b.key - a.key)[0];
}
