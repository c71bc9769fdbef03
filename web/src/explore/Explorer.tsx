/** Filters, plot, table and what is put aside to compare. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { basket, clear, compareAddress, MOST, onBasket, toggle } from "../page/basket";
import { t } from "../text";
import { className, whole } from "../words";
import { BoardTable } from "./Board";
import { Chart } from "./Chart";
import { Chips, Filters } from "./Filters";
import type { Links } from "./links";
import type { Store } from "./store";
import { START } from "./view";

export function Explorer({ store, links }: { store: Store; links: Links }): JSX.Element {
  const waiting = store.waiting.value > 0;
  const nothing = store.board.value?.rows.length === 0;
  return (
    <div class="explorer" aria-busy={waiting}>
      <Filters store={store} />
      <Chips store={store} />
      <Status store={store} links={links} />
      {store.problem.value !== null && (
        <p class="problem" role="alert">
          {store.problem.value}{" "}
          <button type="button" class="quiet" onClick={() => store.again()}>
            {t("explorer.again")}
          </button>
        </p>
      )}
      {!nothing && (
        <>
          <h2 class="visually-hidden">{t("explore.scatter.heading")}</h2>
          <Chart store={store} links={links} />
        </>
      )}
      <BoardTable store={store} links={links} />
      <Tray links={links} />
    </div>
  );
}

function Status({ store, links }: { store: Store; links: Links }): JSX.Element | null {
  const board = store.board.value;
  if (!board) return null;
  if (board.rows.length === 0) return <Nothing store={store} links={links} />;
  const energyClass = board.chosen.energy_class;
  return (
    <p class="status" role="status">
      {t("explore.about", { n: whole(board.configurations), energy_class: className(energyClass) })}{" "}
      {energyClass === "estimated" && (
        <>
          <a class="badge estimated" href={`${links.glossary}#estimated`}>
            {t("figure.estimated")}
          </a>{" "}
          {t("explore.about_estimated")}
        </>
      )}
    </p>
  );
}

/** Instead of the chart and the table. */
function Nothing({ store, links }: { store: Store; links: Links }): JSX.Element {
  const view = store.view.value;
  const cleared = (event: Event): void => {
    event.preventDefault();
    store.change({ ...store.view.value, cursor: null, filters: START.filters });
  };
  return (
    <p class="empty" role="status">
      {view.filters.length === 0 ? (
        t("explore.no_figure")
      ) : (
        <>
          {t("explore.none")}{" "}
          <a href={links.explore} onClick={cleared}>
            {t("explore.clear")}
          </a>
        </>
      )}
    </p>
  );
}

function Tray({ links }: { links: Links }): JSX.Element | null {
  const kept = useSignal(basket());
  useEffect(() => onBasket(() => (kept.value = basket())), []);
  const found = kept.value;
  if (found.length === 0) return null;
  return (
    <section class="tray" aria-label={t("basket.heading")}>
      <ul>
        {found.map((one) => (
          <li key={one.id}>
            <button type="button" class="chip" onClick={() => toggle(one)} title={t("basket.remove")}>
              {one.label} <span aria-hidden="true">×</span>
              <span class="visually-hidden">{t("basket.remove")}</span>
            </button>
          </li>
        ))}
      </ul>
      <p class="actions">
        {found.length > 1 ? (
          <a class="button" href={compareAddress(links.compare, found)}>
            {t("basket.link", { n: found.length })}
          </a>
        ) : (
          <span class="sub">{t("basket.one")}</span>
        )}
        {found.length >= MOST && <span class="sub">{t("basket.full")}</span>}
        <button type="button" class="quiet" onClick={clear}>
          {t("basket.clear")}
        </button>
      </p>
    </section>
  );
}
