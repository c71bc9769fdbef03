/** What is said of one point: its exact figures, never those it is drawn with. */
import type { JSX } from "preact";
import { t } from "../text";
import { device, figure, fullName, isEstimated, metricName, modelName, tierName, way, whole, workload } from "../words";
import type { Links } from "./links";
import type { Cloud, Exact, Figure } from "./source";

export function Tip(props: {
  exact: Exact | null;
  place: readonly [number, number];
  width: number;
  links: Links;
  kept: boolean;
  onAdd: (one: Exact) => void;
}): JSX.Element {
  const { exact, links } = props;
  const [x, y] = props.place;
  const right = x > props.width / 2;
  const style = right ? { right: `${props.width - x + 14}px`, top: `${Math.max(0, y - 20)}px` } : { left: `${x + 14}px`, top: `${Math.max(0, y - 20)}px` };
  if (!exact) {
    return (
      <div class="tip" style={style}>
        {t("explorer.loading")}
      </div>
    );
  }
  const c = exact.configuration;
  return (
    <div class="tip" style={style}>
      <p class="name">
        <a href={links.configuration(c.id)}>{modelName(c)}</a>
      </p>
      <p class="sub">{way(c)}</p>
      <p class="sub">{device(c)}</p>
      <p class="sub">{workload(c)}</p>
      {[exact.y, exact.x].map((found) => found && <Line key={found.metric} found={found} />)}
      <button type="button" class="quiet" onClick={() => props.onAdd(exact)}>
        {t(props.kept ? "basket.remove" : "basket.add")}
      </button>
    </div>
  );
}

function Line({ found }: { found: Figure }): JSX.Element {
  const said = figure(found);
  const estimated = isEstimated(found.energy_class, found.unit);
  return (
    <p class="line">
      <span class="what">{metricName(found.metric as Cloud["x"]["metric"])}</span>{" "}
      <span class={`figure${estimated ? " is-estimated" : ""}`}>
        <span class="value">{said.value}</span> <span class="unit">{said.unit}</span>
      </span>
      {!said.certain && <span class="no-u"> {t("figure.no_interval_short")}</span>}{" "}
      <span class={`badge tier-${found.tier}`}>{tierName(found.tier)}</span>
      {estimated && <span class="badge estimated">{t("figure.estimated")}</span>}
    </p>
  );
}

/** What a screen reader says of the point under the cursor. */
export function announced(one: Exact, row: number, cloud: Cloud): string {
  const c = one.configuration;
  const said = (found: Figure | null): string => {
    if (!found) return "";
    const { value, unit, certain } = figure(found);
    const words = [`${value} ${unit}`];
    if (!certain) words.push(t("figure.no_interval_short"));
    if (isEstimated(found.energy_class, found.unit)) words.push(t("figure.estimated"));
    return words.join(", ");
  };
  return t("plot.point", {
    name: fullName(c),
    workload: workload(c),
    y_name: metricName(cloud.y.metric),
    y: said(one.y),
    x_name: metricName(cloud.x.metric),
    x: said(one.x),
    tier: one.y ? tierName(one.y.tier) : "",
    place: whole(row + 1),
    n: whole(cloud.points),
  });
}
