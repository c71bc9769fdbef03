/** Energy per token of each experiment with its expanded uncertainty, so far. */
import type { JSX } from "preact";
import type { Interval, TableEvent, TableRow } from "./events";
import { Estimated } from "./Now";
import type { Screen } from "./screen";
import { t } from "./text";
import { places } from "../words";
import { armName, ends, energyClass, noInterval, noUncertainty, sharedUnit } from "./words";

export function Board({ screen }: { screen: Screen }): JSX.Element {
  const tables = screen.tables.value;
  const wanted = screen.deviceClass.value;
  const table = tables.find((found) => found.device_class === wanted) ?? tables[0];
  return (
    <section aria-labelledby="energy" class="energies">
      <h2 id="energy">
        {t("board.heading")} {table?.provisional && <span class="badge provisional">{t("board.provisional")}</span>} {table?.estimated && <Estimated />}
      </h2>
      {table ? (
        <>
          <p class="sub">
            {t(table.provisional ? "board.provisional_why" : "board.final")}{" "}
            {t("board.by_class", { class: energyClass(table.device_class), level: percentOf(table.level) })}{" "}
            {table.estimated && t("board.estimated")}
          </p>
          {tables.length > 1 && <Classes tables={tables} chosen={table.device_class} choose={(name) => (screen.deviceClass.value = name)} />}
          <Rows screen={screen} table={table} before={screen.before.value.find((b) => b.device_class === table.device_class)} />
        </>
      ) : (
        <p class="empty">{t("board.none")}</p>
      )}
    </section>
  );
}

function Classes({ tables, chosen, choose }: { tables: readonly TableEvent[]; chosen: string; choose: (name: string) => void }): JSX.Element {
  return (
    <div class="choice-row" role="group">
      {tables.map(({ device_class }) => (
        <button type="button" key={device_class} class="quiet" aria-pressed={device_class === chosen} onClick={() => choose(device_class)}>
          {energyClass(device_class)}
        </button>
      ))}
    </div>
  );
}

function Rows({ screen, table, before }: { screen: Screen; table: TableEvent; before: TableEvent | undefined }): JSX.Element {
  const arms = screen.arms.value;
  const baseline = screen.baseline.value;
  const found = table.rows.flatMap((row) => row.energy_per_output_token_j ?? []);
  const unit = sharedUnit(found.map((f) => f.value));
  const reach = reachOf(found, (before?.rows ?? []).flatMap((row) => row.energy_per_output_token_j ?? []));
  const figure = `${t("board.figure")}${found.length > 0 ? ` (${unit.unit})` : ""}`;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("board.caption")}>
      <table class="energy-table">
        <caption class="visually-hidden">{t("board.caption")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("board.experiment")}</th>
            <th scope="col" class="n">{figure}</th>
            <th scope="col">{t(reach.log ? "board.uncertainty_log" : "board.uncertainty")}</th>
            <th scope="col" class="n">{t("board.ratio", { level: percentOf(table.level) })}</th>
            <th scope="col" class="n">{t("board.blocks")}</th>
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row) => (
            <tr key={row.arm}>
              <th scope="row">{armName(arms[row.arm], row.arm)}</th>
              <td class="n"><Figure found={row.energy_per_output_token_j} blocks={row.blocks} factor={unit.factor} estimated={table.estimated} final={!table.provisional} /></td>
              <td>
                {row.energy_per_output_token_j && (
                  <span class="interval-cell">
                    <Whisker found={row.energy_per_output_token_j} before={energyBefore(before, row)} reach={reach} estimated={table.estimated} />
                    <span class="sub">{narrowed(row.energy_per_output_token_j, energyBefore(before, row))}</span>
                  </span>
                )}
              </td>
              <td class="n">{row.arm === baseline ? t("board.baseline") : row.ratio ? <Ratio found={row.ratio} final={!table.provisional} /> : "–"}</td>
              <td class="n">{row.blocks}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Ratio({ found, final }: { found: Interval; final: boolean }): JSX.Element {
  const { value, low, high } = ends(found);
  return (
    <span class="figure">
      <span class="value">{value}</span>
      <span class="unit"> × {low && high ? `(${low}–${high})` : noInterval(final)}</span>
    </span>
  );
}

interface FigureProps {
  readonly found: Interval | null;
  readonly blocks: number;
  readonly factor: number;
  readonly estimated: boolean;
  readonly final: boolean;
}

function Figure({ found, blocks, factor, estimated, final }: FigureProps): JSX.Element {
  if (!found) return <span class="sub">{t("board.no_figure")}</span>;
  const { value, low, high } = ends(found, factor);
  return (
    <span class={`figure${estimated ? " is-estimated" : ""}`}>
      <span class="value">{value}</span> <span class="unit">{low && high ? `(${low}–${high})` : noUncertainty(blocks, final)}</span>
    </span>
  );
}

/** `± 5.0 %, before ± 9.2 %` */
export function narrowed(found: Interval, before: Interval | null): string {
  const now = relative(found);
  if (now === null) return "";
  const last = before && relative(before);
  return last && last !== now ? t("board.narrowed", { percent: now, before: last }) : t("board.percent", { percent: now });
}

/** In percent, with two significant digits. Of its upper end: the lower one is cut at 0. */
function relative({ value, high }: Interval): string | null {
  if (typeof high !== "number" || value <= 0) return null;
  const percent = Number(((100 * (high - value)) / value).toPrecision(2));
  return percent > 1e-9 ? percent.toFixed(places(percent)) : null;
}

function percentOf(share: number): number {
  return Math.round(1000 * share) / 10;
}

function energyBefore(before: TableEvent | undefined, row: TableRow): Interval | null {
  return before?.rows.find((r) => r.arm === row.arm)?.energy_per_output_token_j ?? null;
}

/** The line that all rows share; logarithmic where they lie far apart, so that intervals can be told. */
export interface Reach {
  readonly low: number;
  readonly high: number;
  readonly log: boolean;
}
const FAR_APART = 3;

/** Every interval lies on it; those before as far as they are not absurdly wide. */
export function reachOf(found: readonly Interval[], before: readonly Interval[]): Reach {
  const lowOf = (f: Interval): number => f.low ?? f.value;
  const highOf = (f: Interval): number => f.high ?? f.value;
  const [least, most] = [Math.min(...found.map(lowOf)), Math.max(...found.map(highOf))];
  const [down, up] = [Math.min(least, ...before.map(lowOf)), Math.max(most, ...before.map(highOf))];
  if (least > 0 && most > FAR_APART * least) {
    const room = (most / least) ** 0.06;
    return { low: Math.max(least / room ** 3, down) / room, high: Math.min(most * room ** 3, up) * room, log: true };
  }
  const far = 0.4 * (most - least || Math.abs(most) || 1);
  return { low: Math.max(0, least - far, down), high: Math.min(most + far, up), log: false };
}

/** Where a value lies on it, from 0 to 1. */
export function placeOn({ low, high, log }: Reach, value: number): number {
  const within = Math.min(high, Math.max(low, value));
  const place = log ? Math.log(within / low) / Math.log(high / low) : (within - low) / (high - low);
  return Number.isFinite(place) ? place : 0.5;
}

const WIDTH = 240;

/** The interval on the line that all rows share, over the one before it. */
function Whisker({ found, before, reach, estimated }: { found: Interval; before: Interval | null; reach: Reach; estimated: boolean }): JSX.Element {
  const at = (value: number): number => Math.round(10 * WIDTH * placeOn(reach, value)) / 10;
  const certain = typeof found.low === "number" && typeof found.high === "number";
  return (
    <svg class="interval whisker-wide" width={WIDTH + 8} height="18" viewBox={`-4 0 ${WIDTH + 8} 18`} aria-hidden="true">
      <line class="axis" x1="0" x2={WIDTH} y1="9" y2="9" />
      {typeof before?.low === "number" && typeof before.high === "number" && (
        <rect class="earlier" x={at(before.low)} width={Math.max(0, at(before.high) - at(before.low))} y="3" height="12" rx="3" />
      )}
      {certain && <line class="whisker" x1={at(found.low ?? 0)} x2={at(found.high ?? 0)} y1="9" y2="9" />}
      {certain && <path class="cap" d={`M${at(found.low ?? 0)} 5v8M${at(found.high ?? 0)} 5v8`} />}
      {estimated ? (
        <path class="hollow" d={`M${at(found.value)} 4.5l4.5 4.5l-4.5 4.5l-4.5 -4.5z`} />
      ) : (
        <circle class={certain ? "mark" : "hollow"} cx={at(found.value)} cy="9" r="3.6" />
      )}
    </svg>
  );
}
