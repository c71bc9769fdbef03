/** Which configurations: few filters at first, more on demand; beside each value how many there are. */
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { t } from "../text";
import { canBeKnown, className, metricName, plain, tierName, valueText, whole } from "../words";
import { type Faceted, type Facets, METRICS, type Metric, TIERS } from "./source";
import type { Store } from "./store";
import { filtered, START, toggled, valuesOf, type View, without } from "./view";

export const FIRST: readonly Faceted[] = ["device_model", "backend", "dtype"];
const MORE: readonly Faceted[] = [
  "model",
  "model_size",
  "quantization",
  "dataset",
  "arrival",
  "load",
  "input_tokens",
  "output_tokens",
  "max_batch_size",
  "tensor_parallel_size",
  "device_count",
  "engine_version",
  "meter_class",
  "weights",
];
/** Those of `MORE` that are shown where they have one value alone, too. */
const ALWAYS: readonly Faceted[] = ["model_size"];
const SEARCHED = 8;

export function Filters({ store }: { store: Store }): JSX.Element {
  const view = store.view.value;
  const facets = store.facets.value;
  const [open, setOpen] = useState(() => view.filters.some(([name]) => name !== "q" && !FIRST.includes(name as Faceted)));
  return (
    <form class="filters" role="search" aria-label={t("explore.filters")} onSubmit={(e) => e.preventDefault()}>
      <Typed store={store} name="q" label={t("explore.q")} type="search" placeholder={t("explore.q_example")} />
      {FIRST.map((name) => (
        <Choice key={name} store={store} name={name} facets={facets} />
      ))}
      <Select
        label={t("explore.metric")}
        value={view.metric}
        options={offered(store.board.value?.chosen.energy_class ?? "", view.metric)}
        onChange={(metric) => store.change({ ...store.view.value, cursor: null, metric: metric as Metric })}
      />
      <details class="more" open={open} onToggle={(e) => setOpen(e.currentTarget.open)}>
        <summary>{t("explore.more")}</summary>
        {open && facets && <More store={store} facets={facets} />}
      </details>
    </form>
  );
}

/** Metrics to choose from: those that figures of this class can tell, and what is chosen already. */
export function offered(energyClass: string, ...chosen: readonly Metric[]): (readonly [Metric, string])[] {
  return METRICS.filter((m) => canBeKnown(m, energyClass) || chosen.includes(m)).map((m) => [m, metricName(m)]);
}

function More({ store, facets }: { store: Store; facets: Facets }): JSX.Element {
  const view = store.view.value;
  const one = (name: string, value: string): void => store.change(filtered(store.view.value, name, value ? [value] : []));
  const several = (name: Faceted): boolean =>
    (facets.dimensions[name]?.length ?? 0) >= (ALWAYS.includes(name) ? 1 : 2) || valuesOf(view, name).length > 0;
  return (
    <div class="grid">
      {MORE.filter(several).map((name) => (
        <Choice key={name} store={store} name={name} facets={facets} />
      ))}
      <Select
        label={t("explore.class")}
        value={valuesOf(view, "class")[0] ?? ""}
        options={[
          ["", t("explore.class_default")],
          ...Object.entries(facets.classes).map(([name, n]) => [name, `${className(name)} (${whole(n)})`] as const),
        ]}
        onChange={(value) => one("class", value)}
      />
      <Select
        label={t("explore.tier")}
        value={valuesOf(view, "tier")[0] ?? ""}
        options={[["", t("explore.any")], ...TIERS.map((tier) => [tier, t("explore.at_least", { tier: tierName(tier) })] as const)]}
        onChange={(value) => one("tier", value)}
      />
      <Typed store={store} name="since" label={t("explore.since")} type="date" />
      <Typed store={store} name="until" label={t("explore.until")} type="date" />
      <AnyPath store={store} />
    </div>
  );
}

export function Select(props: {
  label: string;
  value: string;
  options: readonly (readonly [value: string, text: string])[];
  onChange: (value: string) => void;
}): JSX.Element {
  return (
    <label class="field">
      {props.label}
      <select value={props.value} onChange={(e) => props.onChange(e.currentTarget.value)}>
        {props.options.map(([value, text]) => (
          <option key={value} value={value} selected={value === props.value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

/** A text or a date; the address follows while it is typed. */
function Typed(props: { store: Store; name: string; label: string; type: "search" | "date"; placeholder?: string }): JSX.Element {
  const { store, name } = props;
  const timer = useRef(0);
  /** What the address does not follow yet: it is not typed over. */
  const pending = useRef<string | null>(null);
  const asked = valuesOf(store.view.value, name)[0] ?? "";
  const value = pending.current ?? asked;
  const typed = (text: string): void => {
    clearTimeout(timer.current);
    pending.current = text;
    timer.current = window.setTimeout(() => {
      pending.current = null;
      const now = store.view.value;
      if ((valuesOf(now, name)[0] ?? "") !== text) store.change(filtered(now, name, text ? [text] : []), true);
    }, 250);
  };
  const shared = { name, onInput: (e: { currentTarget: HTMLInputElement }) => typed(e.currentTarget.value) };
  return (
    <label class="field">
      {props.label}
      {props.type === "date" ? (
        <input type="date" value={value.slice(0, 10)} {...shared} />
      ) : (
        <input type="search" value={value} placeholder={props.placeholder ?? ""} maxLength={100} {...shared} />
      )}
    </label>
  );
}

/** Any number of the values of one dimension. */
function Choice({ store, name, facets }: { store: Store; name: Faceted; facets: Facets | null }): JSX.Element {
  const view = store.view.value;
  const chosen = valuesOf(view, name);
  const [open, setOpen] = useState(false);
  const element = useRef<HTMLDetailsElement>(null);
  const label = t(`dimensions.${name}`);
  const [only] = chosen;
  const said = only === undefined ? t("explore.any") : chosen.length === 1 ? valueText(only) : t("explorer.chosen", { n: chosen.length });
  return (
    <div class="field">
      <span id={`filter-${name}`}>{label}</span>
      <details
        class={`choice${chosen.length ? " is-chosen" : ""}`}
        open={open}
        ref={element}
        onToggle={(e) => setOpen(e.currentTarget.open)}
        onKeyDown={(e) => {
          if (e.key !== "Escape" || !open) return;
          setOpen(false);
          element.current?.querySelector("summary")?.focus();
        }}
      >
        <summary aria-label={`${label}: ${said}`}>{said}</summary>
        {open && facets && <Values store={store} view={view} name={name} facets={facets} chosen={chosen} />}
      </details>
    </div>
  );
}

function Values(props: {
  store: Store;
  view: View;
  name: Faceted;
  facets: Facets;
  chosen: readonly string[];
}): JSX.Element {
  const { name, chosen } = props;
  const [part, setPart] = useState("");
  const counted = (props.facets.dimensions[name] ?? []).map((c) => [c.value === null ? "" : String(c.value), c.configurations] as const);
  const known = new Set(counted.map(([value]) => value));
  // What was asked for stays to be seen, and taken back, where nothing has it.
  const all = [...counted, ...chosen.filter((v) => !known.has(v)).map((v) => [v, 0] as const)];
  const shown = all.filter(([value]) => valueText(value).toLowerCase().includes(part.toLowerCase()));
  return (
    <div class="values" role="group" aria-labelledby={`filter-${name}`}>
      {all.length > SEARCHED && (
        <input
          type="search"
          aria-label={t("explorer.search", { n: all.length })}
          placeholder={t("explorer.search", { n: all.length })}
          value={part}
          onInput={(e) => setPart(e.currentTarget.value)}
        />
      )}
      <ul>
        {shown.map(([value, n]) => (
          <li key={value}>
            <label>
              <input
                type="checkbox"
                checked={chosen.includes(value)}
                onChange={() => props.store.change(toggled(props.store.view.value, name, value))}
              />
              <span class="name">{valueText(value)}</span> <span class="n">{whole(n)}</span>
            </label>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Any setting by its experiment path. */
function AnyPath({ store }: { store: Store }): JSX.Element {
  const [name, value] = [useRef<HTMLInputElement>(null), useRef<HTMLInputElement>(null)];
  // As the fields are now: what was typed last may not be drawn yet.
  const add = (): void => {
    const fields = [name.current, value.current] as const;
    const [path, wanted] = [fields[0]?.value.trim(), fields[1]?.value.trim()];
    if (!path || !wanted) return;
    store.change(toggled(store.view.value, path, wanted));
    for (const field of fields) if (field) field.value = "";
  };
  return (
    <fieldset class="field path">
      <legend>{t("explorer.path")}</legend>
      <input
        aria-label={t("explorer.path")}
        placeholder={t("explorer.path_hint")}
        ref={name}
        maxLength={200}
      />
      <input
        aria-label={t("explorer.path_value")}
        placeholder={t("explorer.path_value")}
        ref={value}
        maxLength={300}
        onKeyDown={(e) => e.key === "Enter" && add()}
      />
      <button type="button" class="quiet" onClick={add}>
        {t("explorer.path_add")}
      </button>
    </fieldset>
  );
}

/** The filters in force, each with a way to take it away. */
export function Chips({ store }: { store: Store }): JSX.Element | null {
  const view = store.view.value;
  if (view.filters.length === 0) return null;
  return (
    <ul class="chips" aria-label={t("explore.filters")}>
      {view.filters.map(([name, value]) => {
        const text = t("explorer.filter_is", { name: filterName(name), value: filterValue(name, value) });
        return (
          <li key={`${name} ${value}`}>
            <button type="button" class="chip" aria-label={t("explorer.take_away", { name: text })} onClick={() => store.change(without(store.view.value, name, value))}>
              {text} <span aria-hidden="true">×</span>
            </button>
          </li>
        );
      })}
      <li>
        <button type="button" class="quiet" onClick={() => store.change({ ...store.view.value, cursor: null, filters: START.filters })}>
          {t("explore.reset")}
        </button>
      </li>
    </ul>
  );
}

function filterName(name: string): string {
  const own: Record<string, string> = {
    q: t("explore.q"),
    class: t("explore.class"),
    tier: t("explore.tier"),
    since: t("explore.since"),
    until: t("explore.until"),
  };
  return own[name] ?? dimensionName(name) ?? plain(name);
}

function dimensionName(name: string): string | null {
  const known: readonly string[] = [...FIRST, ...MORE];
  return known.includes(name) ? t(`dimensions.${name as Faceted}`) : null;
}

function filterValue(name: string, value: string): string {
  if (name === "class") return className(value);
  if (name === "tier") return (TIERS as readonly string[]).includes(value) ? tierName(value as (typeof TIERS)[number]) : plain(value);
  return name === "q" || name === "since" || name === "until" ? plain(value) : valueText(value);
}
