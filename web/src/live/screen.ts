/** What is on the page now, as signals: each part of it is drawn anew only where it has become another. */
import { batch, signal } from "@preact/signals";
import { empty, type Model } from "./model";
import type { Connection } from "./stream";

export function screen() {
  const start = empty();
  const parts = {
    name: signal(start.name),
    arms: signal(start.arms),
    baseline: signal(start.baseline),
    plan: signal(start.plan),
    state: signal(start.state),
    cells: signal(start.cells),
    run: signal(start.run),
    ended: signal(start.ended),
    phases: signal(start.phases),
    windows: signal(start.windows),
    devices: signal(start.devices),
    tokens: signal(start.tokens),
    answers: signal(start.answers),
    flags: signal(start.flags),
    tables: signal(start.tables),
    before: signal(start.before),
    blocks: signal(start.blocks),
  };
  return {
    ...parts,
    /** All of it, with readings; `frame` tells when it is another. */
    model: { current: start },
    frame: signal(0),
    /** By the runner's clock, in ms. */
    now: signal(0),
    second: signal(0),
    connection: signal<Connection | null>(null),
    /** What is loaded, in bytes; null where nothing is. */
    loading: signal<number | null>(null),
    problem: signal(""),
    position: signal<number | null>(null),
    /** The class of devices whose figures are shown, where there are several; null: the first. */
    deviceClass: signal<string | null>(null),
    show(model: Model, now: number): void {
      batch(() => {
        this.model.current = model;
        for (const key of KEYS) (parts[key] as { value: unknown }).value = model[key];
        this.now.value = now;
        this.second.value = Math.floor(now / 1000);
        this.frame.value += 1;
      });
    },
  };
}

const KEYS = [
  "name", "arms", "baseline", "plan", "state", "cells", "run", "ended", "phases", "windows", "devices", "tokens", "answers", "flags", "tables",
  "before", "blocks",
] as const;

export type Screen = ReturnType<typeof screen>;
