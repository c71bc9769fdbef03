/** What is measured already, and what the campaign would take, with where that is from. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { className, figure, isEstimated, plain, tierName, whole } from "../words";
import { durations, energy, money, power } from "./amounts";
import type { Energy, Estimate, Experiment, Measured } from "./answers";
import { useBuilder } from "./context";
import { count, t } from "./text";

const FIRST = 8;

export function Known(): JSX.Element | null {
  const { store } = useBuilder();
  const all = useSignal(false);
  const plan = store.plan.value;
  if (plan === null) return null;
  const n = plan.experiments.length;
  // What is there comes first; otherwise the order of the file.
  const ordered = [...plan.experiments].sort((a, b) => Number(b.measured.length > 0) - Number(a.measured.length > 0));
  const shown = all.value ? ordered : ordered.slice(0, FIRST);
  return (
    <section class={`known${store.isFresh.value ? "" : " is-old"}`}>
      <h2>{t("known.heading")}</h2>
      <p>{plan.measured === 0 ? t("known.nothing") : n === 1 ? t("known.lead_one") : t("known.lead", { n: whole(n), measured: whole(plan.measured) })}</p>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("known.heading")}>
        <table role="table">
          <thead role="rowgroup">
            <tr role="row">
              <th scope="col" role="columnheader">{t("known.experiment")}</th>
              <th scope="col" role="columnheader">{t("known.figure")}</th>
              <th scope="col" role="columnheader">{t("known.on")}</th>
              <th scope="col" role="columnheader">{t("known.trust")}</th>
            </tr>
          </thead>
          <tbody role="rowgroup">
            {shown.map((one) => (
              <Row key={one.experiment_id} one={one} />
            ))}
          </tbody>
        </table>
      </div>
      {n > FIRST && !all.value && (
        <button type="button" class="quiet" onClick={() => (all.value = true)}>
          {count("known.all", n)}
        </button>
      )}
    </section>
  );
}

function Row({ one }: { one: Experiment }): JSX.Element {
  const { pages } = useBuilder();
  const [found, ...more] = one.measured;
  const label = plain(one.label, 200);
  if (!found)
    return (
      <tr role="row" class="is-missing">
        <th scope="row" role="rowheader">{label}</th>
        <td role="cell" colSpan={3}>{t("known.missing")}</td>
      </tr>
    );
  return (
    <tr role="row">
      <th scope="row" role="rowheader">
        <a href={pages.configuration(found.configuration)} aria-label={`${t("known.see")}: ${label}`}>
          {label}
        </a>
      </th>
      <td role="cell" class="figure-cell">
        <Value found={found} />
      </td>
      <td role="cell">
        {found.device_count > 1 && `${found.device_count} × `}
        {plain(found.device_model)}
        <span class="sub">
          {t("known.version", { version: plain(found.engine_version, 40) })} · {plain(found.meter_class)} ({className(found.energy_class)})
        </span>
        {more.length > 0 && <span class="sub">{t("known.more", { n: more.length })}</span>}
      </td>
      <td role="cell">
        <a class={`badge tier-${found.tier}`} href={`${pages.glossary}#${found.tier}`}>
          {tierName(found.tier)}
        </a>
        <span class="sub">{found.match === "exact" ? t("known.exact") : t("known.alike", { what: found.may_differ.join(", ") })}</span>
      </td>
    </tr>
  );
}

function Value({ found }: { found: Measured }): JSX.Element {
  const { pages } = useBuilder();
  if (!found.figure) return <span class="sub">{t("known.no_figure")}</span>;
  const said = figure(found.figure);
  const estimated = isEstimated(found.figure.energy_class, found.figure.unit);
  return (
    <>
      <span class={`figure${estimated ? " is-estimated" : ""}`}>
        <span class="value">{said.value}</span> <span class="unit">{said.unit}</span>
      </span>
      {estimated && (
        <>
          {" "}
          <a class="badge estimated" href={`${pages.glossary}#estimated`}>
            {className("estimated")}
          </a>
        </>
      )}
      {!said.certain && <span class="no-u">{found.figure.why_no_uncertainty}</span>}
    </>
  );
}

export function Cost(): JSX.Element | null {
  const { store, pages } = useBuilder();
  const plan = store.plan.value;
  if (plan === null) return null;
  const told = plan.estimate;
  return (
    <section class={`cost${store.isFresh.value ? "" : " is-old"}`}>
      <h2>
        {t("cost.heading")} <span class="badge estimated">{t("cost.estimate")}</span>
      </h2>
      {told === null ? (
        <p>{t("cost.none")}</p>
      ) : (
        <>
          <Time told={told} experiments={plan.experiments.length} />
          {told.energy.length === 0 ? (
            <p>{t("cost.unknown", { why: plain(told.why_no_energy ?? "") })}</p>
          ) : (
            <ul class="devices">
              {told.energy.map((one, i) => (
                <Device key={i} one={one} told={told} />
              ))}
            </ul>
          )}
          <p class="sub">{t("cost.counted")}</p>
          <p class="sub">
            {t("cost.price", {
              low: told.price.low,
              high: told.price.high,
              currency: told.price.currency,
              name: told.price.name,
              year: told.price.year,
              assumption: told.price.assumption,
            })}{" "}
            <a href={pages.everyday}>{told.price.source}</a>
          </p>
        </>
      )}
    </section>
  );
}

function Time({ told, experiments }: { told: Estimate; experiments: number }): JSX.Element {
  return (
    <p>
      <strong>{durations(told.seconds.low, told.seconds.high)}</strong>{" "}
      {t("cost.time", { runs: whole(told.runs), experiments: whole(experiments), blocks: told.blocks, basis: told.basis })}{" "}
      {told.most_blocks !== null && t("cost.time_more", { most: told.most_blocks, time: durations(told.most_seconds.low, told.most_seconds.high) })}{" "}
      {told.time_budget_s !== null && t("cost.budget", { time: durations(told.time_budget_s, told.time_budget_s) })}{" "}
      {told.to_choose > 0 && t("cost.chosen", { n: told.to_choose })}
    </p>
  );
}

function Device({ one, told }: { one: Energy; told: Estimate }): JSX.Element {
  const name = one.device_model === null ? t("cost.assumed") : t("cost.device", { device: `${(one.device_count ?? 1) > 1 ? `${one.device_count} × ` : ""}${plain(one.device_model)}` });
  const parts = [
    one.same > 0 ? t("cost.from_same", { n: one.same }) : null,
    one.same_backend > 0 ? t("cost.from_backend", { n: one.same_backend }) : null,
    one.others > 0 ? t("cost.from_others", { n: one.others }) : null,
  ].filter(Boolean);
  const values = { configurations: one.configurations, energy_class: className(one.energy_class ?? ""), power: power(one.power_w), parts: parts.join(", ") };
  return (
    <li>
      <p>
        {name}: <strong class="guessed">{energy(one.energy_j)}</strong>, {money(one.cost, told.price.currency)}
      </p>
      <p class="sub">
        {one.basis === "assumed"
          ? t("cost.assumption", { assumption: plain(one.assumption ?? "") })
          : t(one.configurations === 1 ? "cost.basis_one" : "cost.basis", values)}{" "}
        {one.energy_class === "estimated" && t("cost.estimated_power")}
      </p>
    </li>
  );
}
