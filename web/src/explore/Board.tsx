/** The table: configurations from the best to the worst, with ranks where intervals tell them apart. */
import { useSignal, useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { basket, MOST, onBasket, same, toggle } from "../page/basket";
import { t } from "../text";
import { device, figure, fullName, isEstimated, modelName, nameInClass, type Scale, scaleOf, tierName, way, workload } from "../words";
import { Files } from "./ChartTools";
import { IntervalBar, intervalOf, type Reach } from "./IntervalBar";
import type { Links } from "./links";
import type { Board, Figure, Metric, Place } from "./source";
import type { Store } from "./store";

export function BoardTable({ store, links }: { store: Store; links: Links }): JSX.Element | null {
  const board = store.board.value;
  const region = useRef<HTMLDivElement>(null);
  const turned = useRef<string | null>(null);
  useEffect(() => {
    if (!region.current) return;
    const seen = new IntersectionObserver((entries) => entries.some((e) => e.isIntersecting) && store.place());
    seen.observe(region.current);
    return () => seen.disconnect();
  }, [board === null || board.rows.length === 0]);
  useEffect(() => {
    const to = turned.current;
    turned.current = null;
    // Whoever chose something else meanwhile stays where they are.
    if (to !== null && to === store.view.value.cursor) document.getElementById("board")?.scrollIntoView();
  }, [board]);
  if (!board || board.rows.length === 0) return null;
  const { metric, better, energy_class } = board.chosen;
  const x = store.cloud.value?.x.metric ?? metric;
  const across = x === metric ? null : x;
  return (
    <>
      <h2 id="board">{t("explore.board.heading", { metric: nameInClass(metric, energy_class) })}</h2>
      <p>
        {t(better === "lower" ? "explore.board.lower" : "explore.board.higher")} {t("explore.board.ranks")} {shared(board)}
      </p>
      <div class="scroll" ref={region} style={`contain-intrinsic-size: auto none auto ${5 * board.rows.length}rem`} tabIndex={0} role="region" aria-label={t("explore.board.label")}>
        <table class="board" role="table">
          <thead role="rowgroup">
            <tr role="row">
              <th scope="col" role="columnheader" class="n">
                {t("explore.board.rank")}
              </th>
              <th scope="col" role="columnheader">{t("explore.board.configuration")}</th>
              <th scope="col" role="columnheader">{t("dimensions.device_model")}</th>
              <th scope="col" role="columnheader">{t("explore.board.workload")}</th>
              <th scope="col" role="columnheader" class="n">
                {nameInClass(metric, energy_class)}
              </th>
              {across && (
                <th scope="col" role="columnheader" class="n">
                  {nameInClass(across, energy_class)}
                </th>
              )}
              <th scope="col" role="columnheader">{t("explore.board.trust")}</th>
              <th scope="col" role="columnheader" class="pick">
                {t("explore.board.compare")}
              </th>
            </tr>
          </thead>
          <Rows store={store} links={links} board={board} across={across} />
        </table>
      </div>
      <p class="actions">
        <Turns store={store} next={board.next} onTurn={(cursor) => (turned.current = cursor)} />
        <Files store={store} links={links} />
      </p>
    </>
  );
}

function Turns({ store, next, onTurn }: { store: Store; next: string | null; onTurn: (cursor: string) => void }): JSX.Element {
  const view = store.view.value;
  return (
    <>
      {view.cursor && (
        <button type="button" class="quiet" onClick={() => store.change({ ...store.view.value, cursor: null })}>
          {t("explorer.first_page")}
        </button>
      )}
      {next && (
        <button
          type="button"
          class="quiet next"
          onClick={() => {
            onTurn(next);
            store.change({ ...store.view.value, cursor: next });
          }}
        >
          {t("explore.next")}
        </button>
      )}
    </>
  );
}

function Rows({ store, links, board, across }: { store: Store; links: Links; board: Board; across: Metric | null }): JSX.Element {
  const kept = useSignal(basket());
  useEffect(() => onBasket(() => (kept.value = basket())), []);
  const body = useRef<HTMLTableSectionElement>(null);
  const placed = store.placed.value;
  // The point under the cursor changes often, and no row is made anew for it.
  const mark = (id: string | null): void => {
    for (const row of body.current?.rows ?? []) row.toggleAttribute("data-pointed", row.dataset.id === id?.slice(0, 16));
  };
  useSignalEffect(() => mark(store.pointed.value));
  // The same elements as before, which are not looked at again, as long as nothing that they show changes.
  const rows = useMemo(() => {
    const figures = board.rows.map((p) => p.figure);
    const scales = [scaleOf(figures), scaleOf(board.rows.flatMap((p) => placed.get(p.configuration.id)?.x ?? []))] as const;
    const reach = reachOf(figures);
    return board.rows.map((place, i) => (
      <Row
        key={place.configuration.id}
        store={store}
        links={links}
        place={place}
        first={board.rows[i - 1]?.rank !== place.rank || place.rank === null}
        scale={scales[0]}
        reach={reach}
        across={across}
        x={placed.get(place.configuration.id)?.x ?? null}
        xScale={scales[1]}
        kept={kept.value.some((k) => same(k.id, place.configuration.id))}
        full={kept.value.length >= MOST}
      />
    ));
  }, [board, placed, kept.value, across]);
  useLayoutEffect(() => mark(store.pointed.peek()), [rows]);
  return (
    <tbody role="rowgroup" ref={body}>
      {rows}
    </tbody>
  );
}

/** How many share the first rank on this page. */
function shared(board: Board): string {
  const n = board.rows.filter(({ rank }) => rank === 1).length;
  return n > 1 ? t("explorer.shared_rank", { n }) : "";
}

function reachOf(figures: readonly Figure[]): Reach {
  const ends = figures.flatMap(intervalOf);
  const values = figures.map((f) => Math.abs(f.value));
  // As on the axes of the chart: the widest must not press the rest together.
  const far = 2 * Math.max(0, ...values);
  return [Math.max(-far, Math.min(0, ...ends)), Math.min(far, Math.max(0, ...ends))];
}

interface RowProps {
  readonly store: Store;
  readonly links: Links;
  readonly place: Place;
  /** Of its rank. */
  readonly first: boolean;
  readonly scale: Scale;
  readonly reach: Reach;
  readonly across: Metric | null;
  readonly x: Figure | null;
  readonly xScale: Scale;
  readonly kept: boolean;
  readonly full: boolean;
}

function Row(props: RowProps): JSX.Element {
  const { store, links, place, kept } = props;
  const { configuration: c, figure: found } = place;
  const name = fullName(c);
  const link = (id: string | null) => () => {
    store.linked.value = id;
  };
  return (
    <tr
      role="row"
      class={props.first ? "is-first" : undefined}
      data-id={c.id.slice(0, 16)}
      onPointerEnter={link(c.id)}
      onPointerLeave={link(null)}
      onFocusIn={link(c.id)}
      onFocusOut={link(null)}
    >
      <td role="cell" class="n rank">{place.rank === null ? <span title={t("explore.board.unranked")}>—</span> : <span class={props.first ? "" : "again"}>{place.rank}</span>}</td>
      <td role="cell">
        <a href={links.configuration(c.id)}>
          <strong>{modelName(c)}</strong>
          <br />
          <span class="sub">{way(c)}</span>
        </a>
        {c.disagrees && (
          <>
            {" "}
            <span class="badge disagrees" title={t("figure.disagrees_title")}>
              {t("figure.disagrees")}
            </span>
          </>
        )}
      </td>
      <td role="cell" class="on">{device(c)}</td>
      <td role="cell" class="sub asked">{workload(c)}</td>
      <td role="cell" class="n">
        <Shown found={found} scale={props.scale} links={links} />
        <IntervalBar found={found} reach={props.reach} />
      </td>
      {props.across && <td role="cell" class="n">{props.x && <Shown found={props.x} scale={props.xScale} links={links} />}</td>}
      <td role="cell">
        <a
          class={`badge tier-${found.tier}`}
          href={`${links.glossary}#${found.tier}`}
          title={`${t(`tier.${found.tier}.meaning`)} ${t(`tier.${found.tier}.not`)}`}
        >
          {tierName(found.tier)}
        </a>{" "}
        <span class="sub">{t("explore.board.runs", { runs: found.runs, submitters: found.submitters })}</span>
      </td>
      <td role="cell" class="pick">
        <input
          type="checkbox"
          checked={kept}
          disabled={!kept && props.full}
          aria-label={t("explore.board.pick", { name })}
          onChange={() => toggle({ id: c.id, label: name })}
        />
      </td>
    </tr>
  );
}

function Shown({ found, scale, links }: { found: Figure; scale: Scale; links: Links }): JSX.Element {
  const said = figure(found, scale);
  const estimated = isEstimated(found.energy_class, found.unit);
  return (
    <>
      <span class={`figure${estimated ? " is-estimated" : ""}`}>
        <span class="value">{said.value}</span> <span class="unit">{said.unit}</span>
        {!said.certain && (
          <span class="no-u" title={found.why_no_uncertainty ?? t("figure.no_interval")}>
            {" "}
            {t("figure.no_interval_short")}
          </span>
        )}
      </span>
      {estimated && (
        <>
          {" "}
          <a class="badge estimated" href={`${links.glossary}#estimated`} title={t("figure.estimated_title")}>
            {t("figure.estimated")}
          </a>
        </>
      )}
    </>
  );
}
