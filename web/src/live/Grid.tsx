/** Experiments by blocks, each cell what became of it. */
import { memo } from "preact/compat";
import type { JSX } from "preact";
import { plain } from "../words";
import { blocksOf, type Row, type Status } from "./model";
import type { Screen } from "./screen";
import { t } from "./text";
import { armName, energyClass, energyOf, mainClass, type Shared, sharedUnit, statusName, withEnds } from "./words";
import { threeDigits } from "../words";

/** More columns than these have marks alone. */
const WITH_FIGURES = 10;
const MOST_ROWS = 400;
const MARK: Readonly<Record<Status, string>> = { running: "▶", done: "✓", excluded: "○", void: "↻", failed: "✕" };

export interface GridProps {
  readonly screen: Screen;
  /** Called with a cell that was chosen by a pointer. */
  readonly choose: ((arm: number, block: number) => void) | null;
}

export function Grid({ screen, choose }: GridProps): JSX.Element {
  const arms = screen.arms.value;
  const cells = screen.cells.value;
  const columns = blocksOf({ plan: screen.plan.value, blocks: screen.blocks.value });
  const deviceClass = screen.deviceClass.value ?? mainClass({ tables: screen.tables.value, cells, devices: [] });
  const figures = columns <= WITH_FIGURES;
  const values = cells.flatMap((row) => (row ?? []).flatMap((cell) => energyOf(cell, deviceClass)?.value ?? []));
  const unit = sharedUnit(values);
  const rows = arms.slice(0, MOST_ROWS);
  const chosen = (event: MouseEvent): void => {
    const cell = event.target instanceof Element ? event.target.closest<HTMLElement>("td[data-block]") : null;
    if (cell && choose) choose(Number(cell.dataset.arm), Number(cell.dataset.block));
  };
  return (
    <section aria-labelledby="grid" class="grid-of-runs">
      <h2 id="grid">{t("grid.heading")}</h2>
      <p class="sub">{t("grid.about")}</p>
      {arms.length === 0 ? (
        <p class="empty">{t("grid.none")}</p>
      ) : (
        <>
          <div class="scroll" tabIndex={0} role="region" aria-label={t("grid.caption")}>
            <table class={`runs${figures ? "" : " is-tight"}${choose ? " is-choosable" : ""}`} onClick={chosen}>
              <caption class="visually-hidden">{t("grid.caption")}</caption>
              <thead>
                <tr>
                  <th scope="col">{t("grid.experiment")}</th>
                  {Array.from({ length: columns }, (_, i) => (
                    <th scope="col" class="block" key={i} aria-label={t("grid.block", { n: i + 1 })}>
                      {i + 1}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {rows.map((arm, i) => (
                  <GridRow
                    key={arm.arm_id}
                    place={i}
                    name={armName(arm, i)}
                    title={arm.label}
                    baseline={i === screen.baseline.value}
                    row={cells[i]}
                    columns={columns}
                    figures={figures}
                    deviceClass={deviceClass}
                    factor={unit.factor}
                    unit={unit.unit}
                  />
                ))}
              </tbody>
            </table>
          </div>
          {arms.length > rows.length && <p class="sub">{t("grid.more", { n: arms.length - rows.length })}</p>}
          <Key figures={figures && values.length > 0} deviceClass={deviceClass} unit={unit} />
        </>
      )}
    </section>
  );
}

function Key({ figures, deviceClass, unit }: { figures: boolean; deviceClass: string | null; unit: Shared }): JSX.Element {
  const statuses = ["waiting", "running", "done", "excluded", "void", "failed"] as const;
  return (
    <p class="key sub">
      {statuses.map((status) => (
        <span key={status} class="key-part">
          <span class={`cell is-${status}`} aria-hidden="true">
            {status === "waiting" ? "" : MARK[status]}
          </span>{" "}
          {statusName(status)}
        </span>
      ))}
      {figures && deviceClass && <span>{t("grid.unit", { class: energyClass(deviceClass), unit: unit.unit })}</span>}
    </p>
  );
}

interface RowProps {
  readonly place: number;
  readonly name: string;
  readonly title: string;
  readonly baseline: boolean;
  readonly row: Row | undefined;
  readonly columns: number;
  readonly figures: boolean;
  readonly deviceClass: string | null;
  readonly factor: number;
  readonly unit: string;
}

/** Drawn anew only where something of it is another: there may be hundreds. */
const GridRow = memo(function GridRow({ place, name, title, baseline, row, columns, figures, deviceClass, factor, unit }: RowProps): JSX.Element {
  return (
    <tr>
      <th scope="row" title={plain(title)}>
        {name} {baseline && <span class="badge">{t("grid.baseline")}</span>}
      </th>
      {Array.from({ length: columns }, (_, block) => {
        const cell = row?.[block];
        const status = cell?.status ?? "waiting";
        const energy = energyOf(cell, deviceClass);
        const figure = energy ? threeDigits(energy.value * factor) : null;
        const said = energy ? t("grid.cell", { status: statusName(status), energy: `${withEnds(energy, factor)} ${unit}` }) : statusName(status);
        const whole = cell && cell.attempt > 0 ? t("grid.cell_attempt", { said, attempt: cell.attempt + 1 }) : said;
        return (
          <td key={block} data-arm={place} data-block={block} title={plain([whole, cell?.message].filter(Boolean).join(": "))}>
            <span class={`cell is-${status}`} aria-hidden="true">
              {figures && figure && status === "done" ? figure : cell ? MARK[cell.status] : ""}
            </span>
            <span class="visually-hidden">{whole}</span>
          </td>
        );
      })}
    </tr>
  );
});
