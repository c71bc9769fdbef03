/** Both halves, and what can be said of them together. */
import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { useSignal } from "@preact/signals";
import type { ShownArm } from "./events";
import { Half, type HalfProps } from "./Half";
import { empty, isOver, type Model, type RunKey } from "./model";
import { between, classesOf, classOf, figureOf, intervalOf, lessOf, perToken, promptsOf, sumOf } from "./pair";
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
  readonly campaign: string | null;
  readonly tables: Model["tables"];
  readonly model: Model;
  readonly standing: HalfProps["standing"];
}

export function Playable({ pair, sameCampaign }: { pair: PairPlayer; sameCampaign: boolean }): JSX.Element {
  void pair.frame.value;
  const { position } = pair.playing.value;
  const { left, right } = pair;
  const deviceClass = useMemo(() => classOfTapes(left.tape, right.tape), [pair]);
  const side = ({ tape, model }: TapePlayer): Side => ({
    key: tape.run,
    arm: tape.arm ?? undefined,
    campaign: sameCampaign ? null : tape.campaign,
    tables: tape.tables,
    model,
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
    campaign: sameCampaign ? null : model.name,
    tables: model.tables,
    model,
    standing: began === null ? "waits" : isOver(model) ? "over" : "measures",
  };
  const right: Side = {
    key: tape.run,
    arm: tape.arm ?? undefined,
    campaign: sameCampaign ? null : tape.campaign,
    tables: sameCampaign ? model.tables : tape.tables,
    model: began === null ? empty() : player.model,
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
          (side.model.ended ? figureOf(side.model, deviceClass)?.value : perToken(sumOf(side.model, deviceClass))) ?? 0,
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
        deviceClass={own}
        sum={sumOf(side.model, own ?? "")}
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
      <p class="verdict">{deviceClass === null ? differs(classes) : verdict(left, right, deviceClass)}</p>
      <p class="sub">
        {t(`beside.prompts.${prompts}`)} {t("beside.single")}
      </p>
    </>
  );
}

/** Of records, once there are both; before that of power readings, and said to be. */
function verdict(left: Side, right: Side, deviceClass: string): string {
  const names = [left, right].map((side) => armName(side.arm, side.key.arm));
  if (left.model.ended && right.model.ended) {
    const [a, b] = [figureOf(left.model, deviceClass), figureOf(right.model, deviceClass)];
    const found = a && b ? between(a, b) : null;
    if (found?.kind !== "less") return t(found?.kind === "overlap" ? "beside.overlap" : "beside.cannot_tell");
    const [less, more] = found.left ? names : [...names].reverse();
    return t(deviceClass === "estimated" ? "beside.less_estimated" : "beside.less", { left: less ?? "", right: more ?? "", percent: found.percent });
  }
  if (left.model.ended || right.model.ended) return t("beside.one_ended");
  const less = lessOf(sumOf(left.model, deviceClass), sumOf(right.model, deviceClass));
  if (less === null) return "\u00a0";
  const by = t(deviceClass === "estimated" ? "beside.by_estimates" : "beside.by_power");
  if (Math.abs(less) < 2) return t("beside.so_far_same", { by });
  if (less > 0) return t("beside.so_far_less", { by, left: names[0] ?? "", right: names[1] ?? "", percent: less });
  const other = lessOf(sumOf(right.model, deviceClass), sumOf(left.model, deviceClass)) ?? 0;
  return t("beside.so_far_less", { by, left: names[1] ?? "", right: names[0] ?? "", percent: other });
}

function differs([left, right]: BothProps["classes"]): string {
  const words = (found: readonly string[]): string => found.map(energyClass).join(", ") || "–";
  return t("beside.classes_differ", { left: words(left), right: words(right) });
}

function classOfTapes(left: Tape, right: Tape): string | null {
  return classOf(classesOf(left), classesOf(right), left.tables[0]?.device_class ?? null);
}

