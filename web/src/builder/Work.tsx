/** What is asked of the model, and how. */
import type { JSX } from "preact";
import { plain } from "../words";
import { useBuilder } from "./context";
import { Cards, NumberField, Section } from "./Parts";
import { at, isRecord, text } from "./reading";
import { t } from "./text";
import { type Arrival, arrivalOf, withArrival, withWorkload, WORKLOADS, workloadOf } from "./workloads";

const ARRIVALS = ["offline", "concurrency", "constant", "poisson"] as const;

export function Work(): JSX.Element {
  const { store } = useBuilder();
  const data = store.data.value ?? {};
  const chosen = workloadOf(data);
  const alone = store.known.backends.filter((b) => !b.loads.includes("served") && store.backends.value.includes(b.name)).map((b) => b.name);
  const take = (name: string): void => {
    const found = WORKLOADS.find((w) => w.name === name);
    if (found) store.edit(...withWorkload(found, alone.length === 0));
  };
  const wants = WORKLOADS.find((w) => w.name === chosen)?.clients ?? null;
  const own = { value: "own", title: t("workload.own"), text: t("workload.own_text") };
  const options = WORKLOADS.map(({ name }) => ({ value: name, title: t(`workload.${name}` as "workload.chat"), text: t(`workload.${name}_text` as "workload.chat_text") }));
  return (
    <Section field="workload" title={t("section.workload")} help={t("workload.help")}>
      <Cards name="workload" legend={t("workload.presets")} value={chosen ?? "own"} options={chosen === null ? [...options, own] : options} onChange={take} />
      {wants !== null && alone.length > 0 && <p class="note">{t("workload.offline_instead", { backends: alone.map((b) => plain(b)).join(", ") })}</p>}
      <Details />
    </Section>
  );
}

function Details(): JSX.Element {
  const { store } = useBuilder();
  const data = store.data.value ?? {};
  const requests = at(data, ["workload", "requests"]);
  const dataset = at(data, ["workload", "dataset"]);
  const kind = isRecord(dataset) ? text(dataset.kind) || "random" : "random";
  const arrival = arrivalOf(data);
  return (
    <div class="details">
      <p class="sub">
        {t("workload.dataset")}:{" "}
        {kind === "random" ? t("workload.dataset_random") : kind === "prompts" ? t("workload.dataset_prompts") : t("workload.dataset_other", { kind: plain(kind, 60) })}
      </p>
      <div class="grid">
        <NumberField
          label={t("workload.requests")}
          value={typeof requests === "number" ? requests : requests === undefined ? 200 : null}
          min={1}
          max={1_000_000}
          onChange={(v) => store.edit({ path: ["workload", "requests"], value: Math.round(v) })}
        />
        {kind === "random" && <Length of="input_tokens" label={t("workload.input")} usual={512} />}
        <Length of="output_tokens" label={kind === "random" ? t("workload.output") : t("workload.longest")} usual={kind === "random" || kind === "prompts" ? 128 : null} />
      </div>
      <div class="grid">
        <label class="field">
          {t("workload.arrival")}
          <select value={arrival.kind} onChange={(e) => store.edit(...withArrival(begun(e.currentTarget.value, arrival)))}>
            {ARRIVALS.map((k) => (
              <option key={k} value={k} selected={k === arrival.kind}>
                {t(`workload.arrival_${k}`)}
              </option>
            ))}
            {arrival.kind === "other" && (
              <option value="other" selected>
                {t("workload.arrival_other")}
              </option>
            )}
          </select>
        </label>
        {arrival.kind === "concurrency" && (
          <NumberField label={t("workload.clients")} value={arrival.n} min={1} max={100_000} onChange={(n) => store.edit(...withArrival({ ...arrival, n: Math.round(n) }))} />
        )}
        {(arrival.kind === "constant" || arrival.kind === "poisson") && (
          <NumberField label={t("workload.rate")} value={arrival.n} min={0.001} max={1e6} step="any" onChange={(n) => store.edit(...withArrival({ ...arrival, n }))} />
        )}
      </div>
      <label class="check">
        <input
          type="checkbox"
          checked={at(data, ["generate", "ignore_eos"]) === true}
          onChange={(e) => store.edit({ path: ["generate", "ignore_eos"], value: e.currentTarget.checked ? true : undefined })}
        />
        <span>
          {t("workload.exact")} <span class="sub">{t("workload.exact_help")}</span>
        </span>
      </label>
    </div>
  );
}

/** A length in tokens; one that is drawn or varied is the file's to say. */
function Length({ of, label, usual }: { of: "input_tokens" | "output_tokens"; label: string; usual: number | null }): JSX.Element {
  const { store } = useBuilder();
  const data = store.data.value ?? {};
  const swept = at(data, ["sweep", `workload.dataset.${of}`]);
  const value = at(data, ["workload", "dataset", of]);
  const shape = at(data, ["workload", "dataset", "shape"]) ?? at(data, ["sweep", "workload.dataset.shape"]);
  if (swept !== undefined || shape !== undefined || (value !== undefined && typeof value !== "number"))
    return (
      <p class="field fixed">
        {label}
        <span>{swept === undefined ? t("workload.in_file") : t("workload.swept", { values: plain(JSON.stringify(swept), 80) })}</span>
      </p>
    );
  return (
    <NumberField
      label={label}
      value={value ?? usual}
      min={1}
      max={16_777_216}
      onChange={(v) => store.edit({ path: ["workload", "dataset", of], value: Math.round(v) })}
    />
  );
}

/** Another way for requests to come, with a number to begin with. */
function begun(kind: string, before: Arrival): Arrival {
  if (kind === "offline") return { kind };
  if (kind === "concurrency") return { kind, n: 8 };
  if (kind === "constant" || kind === "poisson") return { kind, n: "n" in before && before.kind !== "concurrency" ? before.n : 1 };
  return before;
}
