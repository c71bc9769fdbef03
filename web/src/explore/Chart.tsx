/** The scatter of all configurations that match, with what is said of the one under the cursor. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { basket, onBasket, same, toggle } from "../page/basket";
import { ScatterPlot } from "../charts/scatter";
import { t } from "../text";
import { className, fullName, isEnergy, metricName, nameInClass, whole } from "../words";
import { Axes } from "./Axes";
import type { Links } from "./links";
import { type Colours, coloursIn, joins, plotData, plotWidths, side } from "./plot_data";
import { ChartTools } from "./ChartTools";
import { announced, Tip } from "./Tip";
import type { Cloud, Exact } from "./source";
import type { Store } from "./store";

interface Props {
  readonly store: Store;
  readonly links: Links;
}

export function Chart({ store, links }: Props): JSX.Element | null {
  const cloud = store.cloud.value;
  const view = store.view.value;
  const [colours, setColours] = useState<(Colours & { cloud: Cloud }) | null>(null);
  useEffect(() => {
    if (!cloud) return;
    let current = true;
    coloursIn(cloud, view.colour).then(
      (found) => current && setColours({ ...found, cloud }),
      (error: unknown) => current && store.says("cloud", String(error)),
    );
    return () => {
      current = false;
    };
  }, [cloud, view.colour]);
  if (!cloud) return null;
  return (
    <figure class="chart" id="chart-scatter">
      <figcaption>
        <h2>{t("explore.scatter.title", {
          y: nameInClass(cloud.y.metric, cloud.energyClass),
          x: nameInClass(cloud.x.metric, cloud.energyClass).toLowerCase(),
        })}</h2>
        <p class="subtitle">{subtitle(cloud)}</p>
      </figcaption>
      <Axes store={store} cloud={cloud} />
      {cloud.points === 0 ? (
        <p class="empty">{t("explore.no_points")}</p>
      ) : (
        <>
          {colours && <Legend colours={colours} />}
          <Plot store={store} links={links} cloud={cloud} colours={colours?.cloud === cloud ? colours : null} />
          <ChartTools store={store} links={links} />
        </>
      )}
    </figure>
  );
}

function subtitle(cloud: Cloud): string {
  const drawn =
    cloud.points < cloud.configurations
      ? t("plot.some_drawn", { n: whole(cloud.points), all: whole(cloud.configurations) })
      : t("plot.all_drawn", { n: whole(cloud.points) });
  if (![cloud.x.metric, cloud.y.metric].some(isEnergy)) return drawn;
  return `${drawn} ${t("explorer.by_class", { energy_class: className(cloud.energyClass) })}`;
}

function Legend({ colours }: { colours: Colours }): JSX.Element {
  return (
    <ul class="legend">
      {colours.legend.map((line) => (
        <li key={line.name}>
          <span class={`swatch c-${line.colour}`} aria-hidden="true" /> {line.name} <span class="n">{whole(line.points)}</span>
        </li>
      ))}
    </ul>
  );
}

function Plot(props: Props & { cloud: Cloud; colours: Colours | null }): JSX.Element {
  const { store, links, cloud, colours } = props;
  const view = store.view.value;
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<ScatterPlot | null>(null);
  const row = useSignal<number | null>(null);
  const exact = useSignal<Exact | null>(null);
  const said = useSignal("");
  const zoomed = useSignal(false);
  const place = useSignal<readonly [number, number] | null>(null);
  const known = useRef(new Map<number, Exact>());
  const timer = useRef(0);
  const inBasket = useSignal(basket());
  useEffect(() => onBasket(() => (inBasket.value = basket())), []);
  const shown = exact.value?.configuration.id;
  const kept = shown !== undefined && inBasket.value.some((k) => same(k.id, shown));
  const x = useMemo(() => side(cloud.x, cloud.energyClass, cloud.xs, view.xScale), [cloud, view.xScale]);
  const y = useMemo(() => side(cloud.y, cloud.energyClass, cloud.ys, view.yScale), [cloud, view.yScale]);
  // What the plot calls is that of the newest drawing.
  const now = useRef({ cloud, x, y });
  now.current = { cloud, x, y };

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const found = new ScatterPlot(element, "explorer", {
      uncertainties: () => {
        const { cloud, x, y } = now.current;
        return cloud.uncertainties().then((u) => plotWidths(u, x, y));
      },
      cursor: (at, kept) => point(at, kept),
      open: (at) => withExact(at, (one) => location.assign(links.configuration(one.configuration.id))),
      add: (at) => withExact(at, put),
      drawn: (is) => {
        zoomed.value = is;
        moved(found.place(row.value));
      },
    });
    found.element.setAttribute("role", "application");
    found.element.setAttribute("aria-roledescription", t("plot.role"));
    found.element.setAttribute("aria-describedby", "plot-keys");
    plot.current = found;
    return () => found.destroy();
  }, []);

  /** Where the point under the cursor is now: another place only where it is elsewhere. */
  function moved(to: readonly [number, number] | null): void {
    if (String(to) !== String(place.value)) place.value = to;
  }

  function withExact(at: number, then: (one: Exact) => void): void {
    const there = known.current.get(at);
    if (there) {
      then(there);
      return;
    }
    const { cloud } = now.current;
    cloud.exact([at]).then(
      ([one]) => {
        if (!one || now.current.cloud !== cloud) return;
        known.current.set(at, one);
        then(one);
      },
      () => store.again(),
    );
  }

  function point(at: number | null, kept: boolean): void {
    row.value = at;
    exact.value = at === null ? null : (known.current.get(at) ?? null);
    moved(plot.current?.place(at) ?? null);
    clearTimeout(timer.current);
    if (at === null) {
      store.pointed.value = null;
      return;
    }
    timer.current = window.setTimeout(
      () =>
        withExact(at, (one) => {
          if (row.value !== at) return;
          const { x, y, cloud } = now.current;
          exact.value = one;
          store.pointed.value = one.configuration.id;
          plot.current?.widths(at, times(one.x?.uncertainty, x.factor), times(one.y?.uncertainty, y.factor));
          if (kept) said.value = announced(one, at, cloud);
        }),
      known.current.has(at) ? 0 : 60,
    );
  }

  function put(one: Exact): void {
    toggle({ id: one.configuration.id, label: fullName(one.configuration) });
  }

  useEffect(() => {
    known.current = new Map();
  }, [cloud]);
  useEffect(() => {
    if (!plot.current || !colours) return;
    plot.current.element.setAttribute(
      "aria-label",
      t("plot.name", { y: metricName(cloud.y.metric), x: metricName(cloud.x.metric), n: whole(cloud.points) }),
    );
    plot.current.show(plotData(cloud, colours.colours, x, y));
  }, [cloud, colours, x, y]);
  // The row of the table that is pointed at.
  const linked = store.linked.value;
  const placed = store.placed.value;
  useEffect(() => {
    const at = linked === null ? null : (placed.get(linked)?.row ?? null);
    plot.current?.mark(at === null ? [] : [at]);
  }, [linked, placed, cloud]);

  return (
    <>
      <div class="plot" ref={host} data-plot="explorer">
        <div class="plot-tools">
          <button type="button" class="quiet" aria-label={t("plot.zoom_in")} title={t("plot.zoom_in")} onClick={() => plot.current?.zoom(1.6)}>
            +
          </button>
          <button type="button" class="quiet" aria-label={t("plot.zoom_out")} title={t("plot.zoom_out")} disabled={!zoomed.value} onClick={() => plot.current?.zoom(1 / 1.6)}>
            −
          </button>
          {zoomed.value && (
            <button type="button" class="quiet" onClick={() => plot.current?.reset()}>
              {t("plot.reset")}
            </button>
          )}
        </div>
        {row.value !== null && place.value && <Tip exact={exact.value} place={place.value} width={host.current?.clientWidth ?? 0} links={links} kept={kept} onAdd={put} />}
      </div>
      <p class="note">
        {cloud.front.length > 1 && joins(cloud) && `${t("plot.front")} `}
        {cloud.points <= 300 ? t("plot.whiskers") : t("plot.whiskers_some")} {cloud.certain.includes(0) && `${t("plot.hollow")} `}
        {cloud.energyClass === "estimated" && `${t("plot.estimated")} `}
        {t("plot.hint")}
      </p>
      <p class="visually-hidden" id="plot-keys">
        {t("plot.keys")}
      </p>
      <p class="visually-hidden" aria-live="polite">
        {said.value}
      </p>
    </>
  );
}

function times(u: number | null | undefined, factor: number): number | null {
  return u === null || u === undefined ? null : u * factor;
}
