/** The run under way: what it is, its phase, power, energy and answers. */
import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { JSX } from "preact";
import { plain, whole } from "../words";
import { Answers } from "./Answers";
import { COLOURS, PowerChart } from "./chart";
import type { Interval } from "./events";
import { cellOf, type Device, isStale, windowsJOf } from "./model";
import type { Screen } from "./screen";
import { t } from "./text";
import { armModel, armName, duration, ends, energyClass, joules, phaseName, sharedUnit, watts } from "./words";

const MOST_TILES = 8;
const SPANS = { "60": 60_000, "300": 300_000, run: Infinity } as const;
type SpanName = keyof typeof SPANS;

export function Now({ screen, replayed }: { screen: Screen; replayed: boolean }): JSX.Element {
  const run = screen.run.value;
  const id = "now";
  return (
    <section class="now" aria-labelledby={id}>
      <h2 id={id}>{t(replayed ? "now.heading_replay" : "now.heading")}</h2>
      {run ? (
        <>
          <What screen={screen} />
          <Tiles screen={screen} />
          <Power screen={screen} key={`${run.arm}.${run.block}.${run.attempt}`} />
          <Answers screen={screen} />
        </>
      ) : (
        <p class="empty">{t("now.none")}</p>
      )}
    </section>
  );
}

function What({ screen }: { screen: Screen }): JSX.Element | null {
  const run = screen.run.value;
  if (!run) return null;
  const arm = screen.arms.value[run.arm];
  const said = t("now.what", { experiment: armName(arm, run.arm), block: run.block + 1 });
  const ended = screen.ended.value;
  const cell = cellOf({ cells: screen.cells.value }, run.arm, run.block);
  const phase = screen.phases.value.at(-1)?.phase ?? "load";
  const flags = screen.flags.value;
  const outcome = cell?.status === "running" || cell === undefined ? "done" : cell.status;
  return (
    <div class="what">
      <p class="run">
        <strong>{run.attempt > 0 ? t("now.attempt", { what: said, attempt: run.attempt + 1 }) : said}</strong>{" "}
        <span class="sub">{armModel(arm)}</span>
      </p>
      <p class="phase">
        {ended ? (
          <span class="phase-now is-over">{t(`now.ended.${outcome}`, { why: plain(cell?.message || flags.map((f) => f.flag).join(", ") || "–") })}</span>
        ) : (
          <>
            <span class={`phase-now${phase === "window" ? " is-measured" : ""}`}>{phaseName(phase)}</span>
            <Elapsed screen={screen} from={run.at} />
          </>
        )}
      </p>
      {flags.length > 0 && (
        <details class="flags">
          <summary>{`${t("now.flags")}: ${flags.length}`}</summary>
          <ul>
            {flags.map((f, i) => (
              <li key={i}>
                <code>{plain(f.flag, 80)}</code> {plain(f.message)}
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}

function Elapsed({ screen, from }: { screen: Screen; from: number }): JSX.Element {
  const text = useComputed(() => t("now.elapsed", { time: duration(1000 * screen.second.value - from) }));
  return <span class="sub">{text}</span>;
}

/** What is read, while it goes on; then what its record says. */
function Tiles({ screen }: { screen: Screen }): JSX.Element {
  const devices = screen.devices.value;
  const shown = devices.slice(0, MOST_TILES);
  const ended = screen.ended.value;
  const figures = Object.entries(ended?.energy_per_output_token_j ?? {});
  if (ended && figures.length > 0)
    return (
      <>
        <ul class="tiles">
          {figures.map(([deviceClass, found]) => (
            <ResultTile key={deviceClass} deviceClass={deviceClass} found={found} />
          ))}
        </ul>
        <p class="sub by-readings">{t("now.of_record", { n: whole(ended.output_tokens ?? 0) })}</p>
      </>
    );
  const now = 1000 * screen.second.value;
  const counts = screen.windows.value.length > 0;
  const by = devices.every((d) => d.estimated) ? "by_estimates" : "by_readings";
  return (
    <>
      <ul class="tiles">
        {shown.map((device, i) => (
          <Tile key={device.name} device={device} colour={(i % COLOURS) + 1} j={counts ? windowsJOf(device, screen.windows.value, now) : NaN} stale={ended !== null || isStale(device, now)} />
        ))}
        {devices.length > shown.length && <li class="sub">{t("now.other", { n: devices.length - shown.length })}</li>}
        {devices.length === 0 && <li class="tile sub">{t("now.waiting_power")}</li>}
        <TokensTile screen={screen} />
      </ul>
      {devices.length > 0 && <p class="sub by-readings">{t(counts ? by : "now.not_yet")}</p>}
    </>
  );
}

function ResultTile({ deviceClass, found }: { deviceClass: string; found: Interval }): JSX.Element {
  const { factor, unit } = sharedUnit([found.value]);
  const { value, low, high } = ends(found, factor);
  const estimated = deviceClass === "estimated";
  return (
    <li class="tile is-result">
      <p class="device">
        {energyClass(deviceClass)} {estimated && <Estimated />}
      </p>
      <p class={`figure${estimated ? " is-estimated" : ""}`}>
        <span class="value">{value}</span> <span class="unit">{unit}</span>
      </p>
      <p class="sub">{low && high ? t("result_ends", { low, high }) : t("result_no_ends")}</p>
    </li>
  );
}

interface TileProps {
  readonly device: Device;
  readonly colour: number;
  /** Used in the windows so far; not a number where that is not known, or none has begun. */
  readonly j: number;
  /** Whether its last reading is too old to be shown. */
  readonly stale: boolean;
}

function Tile({ device, colour, j, stale }: TileProps): JSX.Element {
  const [value, unit] = joules(j);
  return (
    <li class="tile">
      <p class="device">
        <span class={`swatch c-${colour}`} aria-hidden="true" /> {plain(device.name, 40)} <span class="sub">{energyClass(device.deviceClass)}</span>{" "}
        {device.estimated && <Estimated />}
      </p>
      <p class={`figure is-so-far${device.estimated ? " is-estimated" : ""}`}>
        <span class="value">{value}</span> <span class="unit">{unit}</span>
      </p>
      <p class="sub">
        <span class="watts">{stale ? t("now.no_reading") : t("now.watts", { w: watts(device.w) })}</span>
      </p>
    </li>
  );
}

export function Estimated(): JSX.Element {
  return (
    <span class="badge estimated" title={t("now.estimated_title")}>
      {t("now.estimated")}
    </span>
  );
}

function TokensTile({ screen }: { screen: Screen }): JSX.Element | null {
  const tokens = screen.tokens.value;
  if (!tokens) return null;
  return (
    <li class="tile">
      <p class="device">{t("now.tokens_per_s")}</p>
      <p class="figure">
        <span class="value">{watts(tokens.perS)}</span>
      </p>
      <p class="sub">{screen.windows.value.length > 0 ? t("now.tokens", { n: whole(Math.round(tokens.windowsN)) }) : t("now.tokens_none")}</p>
    </li>
  );
}

/** `until`: the time at its right end, where it is held still. */
function Power({ screen }: { screen: Screen }): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const span = useSignal<SpanName>("60");
  const until = useSignal<number | null>(null);
  const begin = screen.run.peek()?.at ?? 0;
  useEffect(() => {
    if (!host.current) return undefined;
    const chart = new PowerChart(host.current);
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    const draw = (): void => {
      const model = screen.model.current;
      if (!model.run) return;
      const moving = still.matches ? 1000 * Math.ceil(screen.now.peek() / 1000) : screen.now.peek();
      const now = model.ended ? Math.min(moving, model.ended.at + 1000) : moving;
      const to = until.peek() ?? now;
      const length = SPANS[span.peek()];
      const from = length === Infinity ? model.run.at : Math.max(to - length, model.run.at);
      // A run that goes on fills its window; one that is over is its own.
      const least = length === Infinity || model.ended ? 5000 : length;
      chart.draw(model, { from, to: Math.max(to, from + least) }, now);
    };
    const stops = [screen.frame.subscribe(draw), span.subscribe(draw), until.subscribe(draw)];
    return () => {
      for (const stop of stops) stop();
      chart.stop();
    };
  }, []);
  const hold = (): void => {
    until.value = until.value === null ? screen.now.peek() : null;
  };
  return (
    <div class="power">
      <div class="power-tools">
        <fieldset class="choice-row">
          <legend class="visually-hidden">{t("chart.span")}</legend>
          {(Object.keys(SPANS) as SpanName[]).map((name) => (
            <label key={name} class={span.value === name ? "is-chosen" : ""}>
              <input type="radio" name="power-span" class="visually-hidden" checked={span.value === name} onChange={() => (span.value = name)} />
              {t(`chart.span_${name}`)}
            </label>
          ))}
        </fieldset>
        <button type="button" class="quiet" aria-pressed={until.value !== null} onClick={hold}>
          {t(until.value === null ? "chart.pause" : "chart.resume")}
        </button>
        {until.value !== null && span.value !== "run" && <Back screen={screen} begin={begin} until={until.value} to={(at) => (until.value = at)} />}
      </div>
      <div class="trace power-chart" ref={host} role="img" aria-label={t("chart.label")} />
    </div>
  );
}

function Back({ screen, begin, until, to }: { screen: Screen; begin: number; until: number; to: (at: number) => void }): JSX.Element {
  const most = Math.max(1, Math.ceil((Math.max(until, screen.now.peek()) - begin) / 1000));
  const s = Math.round((until - begin) / 1000);
  return (
    <label class="back">
      {t("chart.back")}
      <input
        type="range"
        min={0}
        max={most}
        step={1}
        value={s}
        aria-valuetext={t("chart.back_value", { s })}
        onInput={(e) => to(begin + 1000 * Number(e.currentTarget.value))}
      />
    </label>
  );
}
