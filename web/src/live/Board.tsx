/** Energy per token of each experiment with its interval, so far. */
import type { JSX } from "preact";
import type { Interval, TableEvent, TableRow } from "./events";
import { Estimated } from "./Now";
import type { Screen } from "./screen";
import { t } from "./text";
import { armName, ends, energyClass, sharedUnit, withEnds } from "./words";

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
            {t("board.by_class", { class: energyClass(table.device_class), level: Math.round(1000 * table.level) / 10 })}{" "}
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
            <th scope="col">{t("board.interval")}</th>
            <th scope="col" class="n">{t("board.ratio")}</th>
            <th scope="col" class="n">{t("board.blocks")}</th>
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row) => (
            <tr key={row.arm}>
              <th scope="row">{armName(arms[row.arm], row.arm)}</th>
              <td class="n"><Figure found={row.energy_per_output_token_j} factor={unit.factor} estimated={table.estimated} /></td>
              <td>
                {row.energy_per_output_token_j && (
                  <Whisker found={row.energy_per_output_token_j} before={energyBefore(before, row)} reach={reach} estimated={table.estimated} />
                )}
              </td>
              <td class="n">{row.arm === baseline ? t("board.baseline") : row.ratio ? <Ratio found={row.ratio} /> : "–"}</td>
              <td class="n">{row.blocks}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Ratio({ found }: { found: Interval }): JSX.Element {
  const { value, low, high } = ends(found);
  return (
    <span class="figure">
      <span class="value">{value}</span>
      <span class="unit"> × {low && high ? `(${low}–${high})` : ""}</span>
    </span>
  );
}

function Figure({ found, factor, estimated }: { found: Interval | null; factor: number; estimated: boolean }): JSX.Element {
  if (!found) return <span class="sub">{t("board.no_figure")}</span>;
  const { value, low, high } = ends(found, factor);
  return (
    <span class={`figure${estimated ? " is-estimated" : ""}`}>
      <span class="value">{value}</span> <span class="unit">{low && high ? `(${low}–${high})` : t("board.no_interval")}</span>
    </span>
  );
}

export function said(found: Interval, factor: number, unit: string): string {
  return `${withEnds(found, factor)} ${unit}`;
}

function energyBefore(before: TableEvent | undefined, row: TableRow): Interval | null {
  return before?.rows.find((r) => r.arm === row.arm)?.energy_per_output_token_j ?? null;
}

type Reach = readonly [low: number, high: number];

/** What all rows share: every interval; those of the block before only as far as they are not absurdly wide. */
export function reachOf(found: readonly Interval[], before: readonly Interval[]): Reach {
  const low = (f: Interval): number => f.low ?? f.value;
  const high = (f: Interval): number => f.high ?? f.value;
  const [least, most] = [Math.min(...found.map(low)), Math.max(...found.map(high))];
  const far = 0.4 * (most - least || Math.abs(most) || 1);
  const [down, up] = [least - Math.min(least, ...before.map(low)), Math.max(most, ...before.map(high)) - most];
  return [Math.max(0, least - Math.min(far, down)), most + Math.min(far, up)];
}

const WIDTH = 220;

/** The interval on the line that all rows share, over the one before it. */
function Whisker({ found, before, reach: [low, high], estimated }: { found: Interval; before: Interval | null; reach: Reach; estimated: boolean }): JSX.Element {
  const at = (value: number): number => {
    const x = (WIDTH * (Math.min(high, Math.max(low, value)) - low)) / (high - low || 1);
    return Math.round(10 * x) / 10;
  };
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
