/** What lies along the axes, how they are scaled, and what colours mean. */
import type { JSX } from "preact";
import { t } from "../text";
import { offered, Select } from "./Filters";
import { kindOf } from "./plot_data";
import { type Cloud, type Metric } from "./source";
import type { Store } from "./store";
import { COLOURINGS, type Colouring, type Scaling } from "./view";

const SCALINGS = (["auto", "log", "linear"] as const).map((s) => [s, t(`explorer.scale_${s}`)] as const);

export function Axes({ store, cloud }: { store: Store; cloud: Cloud }): JSX.Element {
  const view = store.view.value;
  const y = view.y ?? view.metric;
  const metrics = offered(cloud.energyClass, y, cloud.x.metric);
  // A logarithm has no place for what is not above 0.
  const fixed = (values: Float64Array): boolean => kindOf(values, "log") === "linear";
  return (
    <div class="axes">
      <Select
        label={t("explorer.up")}
        value={y}
        options={metrics}
        onChange={(m) => store.change({ ...store.view.value, y: m === store.view.value.metric ? null : (m as Metric) })}
      />
      <Select
        label={t("explore.x")}
        value={cloud.x.metric}
        options={metrics.filter(([m]) => m !== y)}
        onChange={(m) => store.change({ ...store.view.value, x: m as Metric })}
      />
      <Select
        label={t("explorer.colour")}
        value={view.colour}
        options={COLOURINGS.map((by) => [by, colouring(by)] as const)}
        onChange={(by) => store.change({ ...store.view.value, colour: by as Colouring }, true)}
      />
      {(!fixed(cloud.ys) || !fixed(cloud.xs)) && (
        <details class="scales" open={view.xScale !== "auto" || view.yScale !== "auto"}>
          <summary>{t("explorer.scales")}</summary>
          {!fixed(cloud.ys) && (
            <Select
              label={t("explorer.scale_y")}
              value={view.yScale}
              options={SCALINGS}
              onChange={(s) => store.change({ ...store.view.value, yScale: s as Scaling }, true)}
            />
          )}
          {!fixed(cloud.xs) && (
            <Select
              label={t("explorer.scale_x")}
              value={view.xScale}
              options={SCALINGS}
              onChange={(s) => store.change({ ...store.view.value, xScale: s as Scaling }, true)}
            />
          )}
        </details>
      )}
    </div>
  );
}

function colouring(by: Colouring): string {
  if (by === "precision") return t("explorer.precision");
  return by === "tier" ? t("explore.tier") : t(`dimensions.${by}`);
}
