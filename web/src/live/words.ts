/** Experiments, times and amounts as a reader sees them. */
import { className, places, plain, saidUnit, scaled, threeDigits, whole } from "../words";
import type { Interval, ShownArm, StateEvent } from "./events";
import { cellOf, type Cell, type Model, type Status } from "./model";
import { maybe, t } from "./text";

const SECOND_MS = 1000;

/** What sets an experiment apart: `max batch size 8, dtype bfloat16`; where nothing does, its label. */
export function armName(arm: ShownArm | undefined, place: number): string {
  if (!arm) return String(place + 1);
  const own = Object.entries(arm.settings ?? {}).map(([path, value]) => setting(path, value));
  return plain(own.length > 0 ? own.join(", ") : arm.label || String(place + 1), 160);
}

function setting(path: string, value: string | number | boolean | null): string {
  const last = path.slice(path.lastIndexOf(".") + 1);
  if (path === "model" || path === "backend" || last === "id") return shortModel(String(value));
  return `${last.replaceAll("_", " ")} ${value === null ? "–" : String(value)}`;
}

export function armModel(arm: ShownArm | undefined): string {
  return arm ? t("now.model", { model: plain(shortModel(arm.model), 80), backend: plain(arm.backend, 40) }) : "";
}

function shortModel(id: string): string {
  return id.slice(id.lastIndexOf("/") + 1);
}

export function phaseName(phase: string): string {
  return maybe(`phase.${phase}`) ?? plain(phase, 40);
}

export function bandName(phase: string): string {
  return maybe(`band.${phase}`) ?? plain(phase, 40);
}

export function statusName(status: Status | "waiting"): string {
  return t(`grid.status.${status}`);
}

export function stateName(state: StateEvent["state"], position: number | null): string {
  if (state === "queued" && position !== null) return t("state.queued_at_place", { position });
  return t(`state.${state}`);
}

/** `4 min 05 s`, `1 h 02 min`. */
export function duration(ms: number): string {
  const s = Math.max(0, Math.floor(ms / SECOND_MS));
  const two = (n: number): string => String(n).padStart(2, "0");
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  return `${Math.floor(s / 3600)} h ${two(Math.floor(s / 60) % 60)} min`;
}

/** `1:02:03` */
export function clock(ms: number): string {
  const s = Math.max(0, Math.floor(ms / SECOND_MS));
  const two = (n: number): string => String(n).padStart(2, "0");
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

/** Three significant digits and no more: what is read while it is measured is not known better. */
export function atMostThree(value: number): string {
  const found = Number(value.toPrecision(3));
  return found >= 1000 ? whole(found) : threeDigits(found);
}

const ENERGIES = [[1e9, "GJ"], [1e6, "MJ"], [1e3, "kJ"]] as const;

/** Growing energy: `980` J, `1.23` kJ. */
export function joules(j: number): readonly [value: string, unit: string] {
  if (Number.isNaN(j)) return ["–", "J"];
  const found = Number(j.toPrecision(3));
  const [size, unit] = ENERGIES.find(([least]) => found >= least) ?? [1, "J"];
  return [atMostThree(found / size), unit];
}

export function watts(w: number): string {
  return w >= 100 ? atMostThree(w) : w.toFixed(1);
}

export function energyClass(name: string): string {
  return className(name);
}

export interface Shared {
  readonly factor: number;
  /** `mJ per token` */
  readonly unit: string;
}

/** The unit in which all of these read well. */
export function sharedUnit(values: readonly number[]): Shared {
  const [factor, unit] = scaled("J/token", values);
  return { factor, unit: saidUnit(unit) };
}

/** `0.213 (0.209–0.217)`, its ends rounded outwards; without them three digits. */
export function ends({ value, low, high }: Interval, factor = 1): { value: string; low: string | null; high: string | null } {
  if (low === null || low === undefined || high === null || high === undefined || high <= low)
    return { value: threeDigits(value * factor), low: null, high: null };
  const decimals = places(((high - low) / 2) * factor);
  const rounded = (n: number, round: (n: number) => number): string =>
    (round(Number((n * factor * 10 ** decimals).toFixed(6))) / 10 ** decimals).toFixed(decimals);
  return { value: (value * factor).toFixed(decimals), low: rounded(low, Math.floor), high: rounded(high, Math.ceil) };
}

/** In place of an interval where there is none. */
export function noInterval(final: boolean): string {
  return t(final ? "board.no_interval_final" : "board.no_interval");
}

/** In place of an expanded uncertainty where there is none; `blocks`: null where it is not known of how many. */
export function noUncertainty(blocks: number | null, final: boolean): string {
  if (blocks === 1) return t(final ? "board.one_block_final" : "board.one_block");
  return t(final ? "board.no_uncertainty_final" : "board.no_uncertainty");
}

export function withEnds(found: Interval, factor = 1): string {
  const { value, low, high } = ends(found, factor);
  return low === null || high === null ? value : t("board.ends", { value, low, high });
}

/** The class of devices that is shown where several are: what the comparison has first. */
export function mainClass(model: Pick<Model, "tables" | "cells" | "devices">): string | null {
  const table = model.tables[0];
  if (table) return table.device_class;
  for (const row of model.cells)
    for (const cell of row ?? []) {
      const found = cell && Object.keys(cell.energy)[0];
      if (found) return found;
    }
  return model.devices[0]?.deviceClass ?? null;
}

export function energyOf(cell: Cell | undefined, deviceClass: string | null): Interval | null {
  return (deviceClass !== null && cell?.energy[deviceClass]) || null;
}

/** What is going on, in one sentence for those who hear it. */
export function saidOf(model: Model): string {
  const { run, ended, state } = model;
  if (state && state.state !== "running" && state.state !== "staging") return stateName(state.state, null);
  if (!run) return state ? stateName(state.state, null) : "";
  const values = { experiment: armName(model.arms[run.arm], run.arm), block: run.block + 1 };
  const status = cellOf(model, run.arm, run.block)?.status ?? "done";
  if (ended) return t("said.ended", { ...values, status: statusName(status) });
  return t("said.run", { ...values, phase: phaseName(model.phases.at(-1)?.phase ?? "load") });
}
