/** In short: how many experiments, what is there already, and what the rest would take. */
import type { JSX } from "preact";
import { whole } from "../words";
import { across, durations, energy, money } from "./amounts";
import { useBuilder } from "./context";
import { count, t } from "./text";

export function Tally(): JSX.Element {
  const { store } = useBuilder();
  const plan = store.plan.value;
  const told = store.estimate;
  const spans = told?.energy ?? [];
  const joules = across(spans.map((e) => e.energy_j));
  const cost = across(spans.map((e) => e.cost));
  const unknown = plan === null ? null : t("tally.unknown");
  const n = plan?.experiments.length ?? 0;
  return (
    <section class={`tally${store.isFresh.value ? "" : " is-old"}`} aria-label={t("tally.heading")} aria-busy={store.checked.value === "checking"}>
      {/* The numbers are said in one sentence, and not each by itself. */}
      <p class="visually-hidden" role="status">
        {store.isFresh.value && plan !== null
          ? [
              `${n} ${count("tally.experiments", n)}`,
              `${plan.measured} ${t("tally.measured")}`,
              told ? `${durations(told.seconds.low, told.most_seconds.high)} ${t("tally.time")}` : "",
            ]
              .filter(Boolean)
              .join(", ")
          : ""}
      </p>
      <dl>
        <Figure value={plan && whole(n)} of={[count("tally.experiments", n), told?.to_choose ? t("tally.to_choose", { n: told.to_choose }) : ""].join(" ")} />
        <Figure value={plan && whole(plan.measured)} of={t("tally.measured")} />
        <Figure value={told ? durations(told.seconds.low, told.most_seconds.high) : unknown} of={t("tally.time")} isEstimate />
        <Figure value={joules ? energy(joules) : unknown} of={t("tally.energy")} isEstimate />
        <Figure value={cost && told ? money(cost, told.price.currency) : unknown} of={t("tally.cost")} isEstimate />
      </dl>
    </section>
  );
}

function Figure({ value, of, isEstimate }: { value: string | null; of: string; isEstimate?: boolean }): JSX.Element {
  const waits = value === null;
  return (
    <div class={isEstimate ? "is-estimate" : undefined}>
      <dt>{of}</dt>
      <dd>
        {waits ? (
          <>
            <span aria-hidden="true">–</span>
            <span class="visually-hidden">{t("tally.waits")}</span>
          </>
        ) : (
          <span class="value">{value}</span>
        )}
      </dd>
    </div>
  );
}
