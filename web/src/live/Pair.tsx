/** Both halves, and what can be said of them together. */
import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { plain } from "../words";
import type { EndEvent, ShownArm } from "./events";
import { Half, type HalfProps } from "./Half";
import { cellOf, empty, isMade, isOver, type Model, type RunKey, type Status } from "./model";
import { against, between, classesOf, classOf, figureOf, intervalOf, perToken, promptsOf, sumOf } from "./pair";
import type { PairPlayer } from "./PairPlayer";
import { Transport } from "./Transport";
import type { Screen } from "./screen";
import { type Tape, TapePlayer } from "./tape";
import { t } from "./text";
import { armName, energyClass } from "./words";

const SPEEDS = [1, 4, 16] as const;
/** Of both gauges the fuller one has room to become fuller. */
const ROOM = 1.15;

interface Side {
  readonly key: RunKey;
  readonly arm: ShownArm | undefined;
  /** What became of it, as far as is known: also what came after it. */
  readonly status: Status;
  readonly campaign: string | null;
  readonly tables: Model["tables"];
  readonly model: Model;
  /** The time of what its model shows. */
  readonly at: number;
  readonly standing: HalfProps["standing"];
}

type Compared = Pick<Side, "key" | "arm" | "status" | "model">;

export function Playable({ pair, sameCampaign }: { pair: PairPlayer; sameCampaign: boolean }): JSX.Element {
  void pair.frame.value;
  const { position } = pair.playing.value;
  const { left, right } = pair;
  const deviceClass = useMemo(() => classOfTapes(left.tape, right.tape), [pair]);
  const side = ({ tape, model }: TapePlayer): Side => ({
    key: tape.run,
    arm: tape.arm ?? undefined,
    status: tape.run.status,
    campaign: sameCampaign ? null : tape.campaign,
    tables: tape.tables,
    model,
    at: atOf(model, position),
    standing: position >= tape.length || isOver(model) ? "over" : "measures",
  });
  return (
    <>
      <Transport
        name="pair"
        playing={pair.playing}
        length={pair.length}
        runs={[]}
        speeds={SPEEDS}
        go={(to) => pair.go(to)}
        toggle={pair.toggle}
        speed={pair.speed}
      />
      <Both left={side(left)} right={side(right)} deviceClass={deviceClass} sameCampaign={sameCampaign} classes={[classesOf(left.tape), classesOf(right.tape)]} />
    </>
  );
}

/** Beside the run under way: as far as that has come. */
export function Underway({ screen, tape, sameCampaign }: { screen: Screen; tape: Tape; sameCampaign: boolean }): JSX.Element | null {
  const player = useMemo(() => new TapePlayer(tape), [tape]);
  const frame = useSignal(0);
  useEffect(
    () =>
      screen.frame.subscribe(() => {
        frame.value = screen.frame.peek();
      }),
    [],
  );
  void frame.value;
  const model = screen.model.current;
  const { run } = model;
  const began = model.windows[0]?.from ?? null;
  const gone = began === null ? -1 : screen.now.peek() - began;
  player.go(gone);
  const here = [...new Set(model.devices.map((d) => d.deviceClass))];
  const there = useMemo(() => classesOf(tape), [tape]);
  const deviceClass = classOf(here.length > 0 ? here : there, there, model.tables[0]?.device_class ?? null);
  if (!run) return <p class="empty">{t("now.none")}</p>;
  const left: Side = {
    key: run,
    arm: model.arms[run.arm],
    status: cellOf(model, run.arm, run.block)?.status ?? "running",
    campaign: sameCampaign ? null : model.name,
    tables: model.tables,
    model,
    at: screen.now.peek(),
    standing: began === null ? "waits" : isOver(model) ? "over" : "measures",
  };
  const right: Side = {
    key: tape.run,
    arm: tape.arm ?? undefined,
    status: sameCampaign ? statusIn(model, tape.run) : tape.run.status,
    campaign: sameCampaign ? null : tape.campaign,
    tables: sameCampaign ? model.tables : tape.tables,
    model: began === null ? empty() : player.model,
    at: atOf(player.model, gone),
    standing: began === null ? "waits" : gone >= tape.length || isOver(player.model) ? "over" : "measures",
  };
  return <Both left={left} right={right} deviceClass={deviceClass} sameCampaign={sameCampaign} classes={[here, there]} />;
}

interface BothProps {
  readonly left: Side;
  readonly right: Side;
  readonly deviceClass: string | null;
  readonly sameCampaign: boolean;
  readonly classes: readonly [readonly string[], readonly string[]];
}

function Both({ left, right, deviceClass, sameCampaign, classes }: BothProps): JSX.Element {
  const known = (side: Side): number =>
    deviceClass === null
      ? 0
      : Math.max(
          (side.model.ended ? figureOf(side.model, deviceClass)?.value : perToken(sumOf(side.model, deviceClass, side.at))) ?? 0,
          intervalOf(side, side.key.arm, deviceClass)?.value ?? 0,
        );
  const most = ROOM * Math.max(known(left), known(right));
  const ofSide = (side: Side, which: "left" | "right"): JSX.Element => {
    const own = deviceClass ?? classes[which === "left" ? 0 : 1][0] ?? null;
    return (
      <Half
        side={which}
        campaign={side.campaign}
        arm={side.arm}
        place={side.key.arm}
        block={side.key.block}
        model={side.model}
        status={side.status}
        deviceClass={own}
        sum={sumOf(side.model, own ?? "", side.at)}
        most={most}
        interval={own ? intervalOf(side, side.key.arm, own) : null}
        final={side.tables.find((found) => found.device_class === own)?.provisional === false}
        standing={side.standing}
      />
    );
  };
  const prompts = promptsOf(
    { settings: left.arm?.settings ?? {}, requests: left.arm?.requests ?? "", model: left.arm?.model ?? "", block: left.key.block },
    { settings: right.arm?.settings ?? {}, requests: right.arm?.requests ?? "", model: right.arm?.model ?? "", block: right.key.block },
    sameCampaign,
  );
  return (
    <>
      <div class="halves">
        {ofSide(left, "left")}
        {ofSide(right, "right")}
      </div>
      <p class="verdict">{deviceClass === null ? differs(classes) : verdict(left, right, deviceClass, sameCampaign)}</p>
      <p class="sub">
        {t(`beside.prompts.${prompts}`)} {t("beside.single")}
      </p>
    </>
  );
}

/** Of records alone, once there are both: what is read before that is too uncertain. */
export function verdict(left: Compared, right: Compared, deviceClass: string, sameCampaign: boolean): string {
  const uncounted = [left, right].filter((side) => !counts(side));
  const [first] = uncounted;
  if (uncounted.length > 1) return t("beside.both_do_not_count");
  if (first) return t("beside.one_does_not_count", { run: t("now.what", { experiment: armName(first.arm, first.key.arm), block: first.key.block + 1 }) });
  const [a, b] = [left.model.ended, right.model.ended];
  const estimated = deviceClass === "estimated";
  if (!a && !b) return t(estimated ? "beside.so_far_estimated" : "beside.so_far");
  if (!a || !b) return t("beside.one_ended");
  const held = against(a, b, deviceClass, sameCampaign);
  const of = (found: EndEvent): string => plain((held === "machines" ? found.hardware : found.meters?.[deviceClass]) ?? "", 200);
  if (held !== "fine") return t(`beside.${held}`, { left: of(a), right: of(b) });
  const figures = [figureOf(left.model, deviceClass), figureOf(right.model, deviceClass)] as const;
  const found = figures[0] && figures[1] ? between(figures[0], figures[1]) : null;
  if (found?.kind !== "less") return t(found?.kind === "overlap" ? "beside.overlap" : "beside.cannot_tell");
  const said = [left, right].map((side) => armName(side.arm, side.key.arm));
  const names = said[0] === said[1] ? [t("beside.of_left", { name: said[0] ?? "" }), t("beside.of_right", { name: said[0] ?? "" })] : said;
  const [less, more] = found.left ? names : [...names].reverse();
  const percent = found.low === found.high ? found.low : t("beside.from_to", { low: found.low, high: found.high });
  return t(estimated ? "beside.less_estimated" : "beside.less", { left: less ?? "", right: more ?? "", percent });
}

/** Whether it enters a figure, as far as is known: a run that came out well does not where its block is made again. */
function counts({ model: { ended }, status }: Compared): boolean {
  return (ended?.consequence ?? "info") === "info" && status !== "void" && status !== "excluded";
}

/** What has become of an attempt: where there is a later one, or it is awaited again, its block is made anew. */
export function statusIn(model: Pick<Model, "cells">, { arm, block, attempt, status }: RunKey & { readonly status: Status }): Status {
  const cell = cellOf(model, arm, block);
  if (!isMade(status) || (cell && cell.attempt < attempt)) return status;
  return cell && cell.attempt === attempt ? cell.status : "void";
}

/** So many ms after its first window began. */
function atOf({ run, windows }: Model, gone: number): number {
  return (windows[0]?.from ?? run?.at ?? 0) + gone;
}

function differs([left, right]: BothProps["classes"]): string {
  const words = (found: readonly string[]): string => found.map(energyClass).join(", ") || "–";
  return t("beside.classes_differ", { left: words(left), right: words(right) });
}

function classOfTapes(left: Tape, right: Tape): string | null {
  return classOf(classesOf(left), classesOf(right), left.tables[0]?.device_class ?? null);
}

