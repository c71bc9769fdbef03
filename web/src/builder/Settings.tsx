/** What is fixed and what is varied. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { plain } from "../words";
import { useBuilder } from "./context";
import { apart, type Axis, axisOf, type Bounds, ownNames, type Parameter, PARAMETERS, type Single, valuesOf, withAxis } from "./parameters";
import { aboutProblems, described, NumberField, ProblemsOf, Section } from "./Parts";
import { idOf } from "./places";
import { isRecord } from "./reading";
import { maybe, t } from "./text";
import { type Values, readValues } from "./values";

export function Settings(): JSX.Element {
  const { store, places } = useBuilder();
  const data = store.data.value ?? {};
  const backends = store.backends.value;
  const offered = PARAMETERS.filter((p) => (p.backend === undefined ? true : backends.includes(p.backend)));
  const isSet = (p: Parameter): boolean => axisOf(data, p.path).kind !== "none" || apart(data, p).length > 0;
  // What is set is seen at once, wherever it belongs.
  const first = offered.filter((p) => p.first || isSet(p));
  const rest = offered.filter((p) => !first.includes(p));
  return (
    <Section field="settings" title={t("section.settings")} help={t("settings.help")}>
      {first.map((p) => (
        <Setting key={p.path} parameter={p} />
      ))}
      <Others />
      <details class="more" open={places.more.value} onToggle={(e) => (places.more.value = e.currentTarget.open)}>
        <summary>{t("settings.more")}</summary>
        {places.more.value && (
          <>
            {rest.map((p) => (
              <Setting key={p.path} parameter={p} />
            ))}
            <AnyPath />
          </>
        )}
      </details>
    </Section>
  );
}

function Setting({ parameter }: { parameter: Parameter }): JSX.Element {
  const { store } = useBuilder();
  const data = store.data.value ?? {};
  const axis = axisOf(data, parameter.path);
  const own = ownNames(parameter, store.backends.value);
  const alone = apart(data, parameter);
  const id = idOf(parameter.path);
  const name = maybe(`parameter.${parameter.text}`) ?? parameter.path;
  const put = (next: Axis): void => store.edit(...withAxis(parameter.path, next));
  return (
    <div class="setting" id={id} role="group" aria-labelledby={`${id}-name`} {...described(store.of(parameter.path).length > 0, parameter.path)}>
      <p class="name" id={`${id}-name`}>
        {name} <code>{parameter.path}</code>
      </p>
      <p class="help" id={`${id}-help`}>
        {maybe(`parameter.${parameter.text}_help`)}
        {own.length > 0 && (
          <span class="called">
            {" "}
            {t("settings.called")}{" "}
            {own.map(([backend, called], i) => (
              <span key={backend}>
                {i > 0 && ", "}
                <code>{called}</code> ({plain(backend)})
              </span>
            ))}
            .
          </span>
        )}
      </p>
      {axis.kind === "other" ? (
        <p class="sub">{t("settings.other")}</p>
      ) : parameter.type === "choice" ? (
        <Choices parameter={parameter} axis={axis} put={put} />
      ) : (
        <Amounts parameter={parameter} axis={axis} name={name} put={put} />
      )}
      {alone.length > 0 && <p class="sub">{t("settings.apart", { backends: alone.map((b) => plain(b)).join(", ") })}</p>}
      <ProblemsOf field={parameter.path} />
    </div>
  );
}

interface Controls {
  readonly parameter: Parameter;
  readonly axis: Axis;
  readonly put: (axis: Axis) => void;
}

/** None: the software's own choice. One: fixed. Several: varied. */
function Choices({ parameter, axis, put }: Controls): JSX.Element {
  const chosen: readonly Single[] = axis.kind === "one" ? [axis.value] : axis.kind === "list" ? axis.values : [];
  const known = parameter.choices ?? [];
  const offered = [...known, ...chosen.filter((v) => !known.includes(v))];
  const toggle = (value: Single, on: boolean): void => {
    const next = offered.filter((v) => (v === value ? on : chosen.includes(v)));
    const [only] = next;
    put(only === undefined ? { kind: "none" } : next.length === 1 ? { kind: "one", value: only } : { kind: "list", values: next });
  };
  return (
    <div class="choices">
      {offered.map((value) => (
        <label key={String(value)}>
          <input type="checkbox" checked={chosen.includes(value)} onChange={(e) => toggle(value, e.currentTarget.checked)} />
          {value === true ? t("settings.true") : value === false ? t("settings.false") : plain(String(value))}
        </label>
      ))}
      {chosen.length === 0 && <span class="sub">{t("settings.none")}</span>}
    </div>
  );
}

function Amounts({ parameter, axis, name, put }: Controls & { name: string }): JSX.Element {
  const { store } = useBuilder();
  const isText = parameter.type === "text";
  const kinds = isText ? (["none", "one", "list"] as const) : (["none", "one", "list", "range"] as const);
  const start = parameter.start ?? { low: parameter.low ?? 1, high: parameter.high ?? 1 };
  const change = (kind: string): void => {
    const one: Single = axis.kind === "one" ? axis.value : axis.kind === "list" ? (axis.values[0] ?? start.low) : axis.kind === "range" ? axis.bounds.low : isText ? "" : start.low;
    if (kind === "none") put({ kind });
    else if (kind === "one") put({ kind, value: one });
    else if (kind === "range") put({ kind, bounds: parameter.type === "ladder" ? { ...start, scale: "log2" } : start });
    else put({ kind: "list", values: axis.kind === "range" ? (valuesOf(axis.bounds) ?? [start.low, start.high]) : isText ? [one] : [...new Set([one, start.high])] });
  };
  const has = store.of(parameter.path).length > 0;
  return (
    <div class="amounts">
      <label class="field">
        {t("settings.how")}
        <select
          aria-label={t("settings.mode", { name })}
          value={axis.kind}
          onChange={(e) => change(e.currentTarget.value)}
          {...aboutProblems(has, parameter.path)}
        >
          {kinds.map((kind) => (
            <option key={kind} value={kind} selected={kind === axis.kind}>
              {t(`settings.${kind}`)}
            </option>
          ))}
        </select>
      </label>
      {axis.kind === "one" && <Typed parameter={parameter} values={[axis.value]} most={1} put={(v) => v[0] !== undefined && put({ kind: "one", value: v[0] })} />}
      {axis.kind === "list" && <Typed parameter={parameter} values={axis.values} most={100} put={(values) => put({ kind: "list", values })} />}
      {axis.kind === "range" && <Range parameter={parameter} bounds={axis.bounds} put={(bounds) => put({ kind: "range", bounds })} />}
    </div>
  );
}

/** Values as text; what is no value yet is said, and taken once it is one. */
function Typed(props: { parameter: Parameter; values: readonly Single[]; most: number; put: (values: Single[]) => void }): JSX.Element {
  const { parameter, values } = props;
  const typed = useSignal<string | null>(null);
  const shown = values.map(String).join(", ");
  const read: Values = typed.value === null ? { values: [...values] } : readValues(typed.value, parameter);
  const id = `${idOf(parameter.path)}-typed`;
  const wrong = "wrong" in read ? read.wrong : null;
  const take = (text: string): void => {
    typed.value = text;
    const found = readValues(text, parameter);
    if ("values" in found && found.values.length > 0 && found.values.length <= props.most) props.put(found.values);
  };
  return (
    <div class="typed">
      <label class="field">
        {props.most === 1 ? t("settings.value") : t("settings.values")}
        <input
          type="text"
          inputMode={parameter.type === "text" ? "text" : "decimal"}
          spellcheck={false}
          autocomplete="off"
          value={typed.value ?? shown}
          onInput={(e) => take(e.currentTarget.value)}
          onBlur={() => (typed.value = wrong === null ? null : typed.value)}
          aria-invalid={wrong !== null}
          aria-describedby={wrong === null ? undefined : id}
        />
      </label>
      {wrong !== null && (
        <p class="wrong" id={id} role="status">
          {wrong}
        </p>
      )}
    </div>
  );
}

/** Two sliders, along powers of two where the values are such. */
function Range({ parameter, bounds, put }: { parameter: Parameter; bounds: Bounds; put: (bounds: Bounds) => void }): JSX.Element {
  const isLadder = bounds.scale === "log2" || bounds.scale === "log";
  const [least, most] = [Math.min(parameter.low ?? 0, bounds.low), Math.max(parameter.high ?? 1, bounds.high)];
  const up = (v: number): number => (isLadder ? Math.log2(v) : v);
  const down = (v: number): number => (isLadder ? 2 ** v : v);
  const end = (which: "low" | "high", value: number): void => put({ ...bounds, [which]: value });
  const values = valuesOf(bounds);
  const slider = (which: "low" | "high"): JSX.Element => (
    <div class="end">
      <NumberField label={t(`settings.${which}`)} value={bounds[which]} min={least} max={1e9} step="any" onChange={(v) => end(which, v)} />
      <input
        type="range"
        aria-label={t(`settings.${which}`)}
        aria-valuetext={String(bounds[which])}
        min={up(least)}
        max={up(most)}
        step={isLadder ? 1 : (parameter.step ?? 1)}
        value={up(bounds[which])}
        onInput={(e) => end(which, Number(down(e.currentTarget.valueAsNumber).toPrecision(6)))}
      />
    </div>
  );
  return (
    <div class="range">
      {slider("low")}
      {slider("high")}
      {typeof bounds.step === "number" && (
        <NumberField label={t("settings.step")} value={bounds.step} min={1e-6} max={1e9} step="any" onChange={(step) => put({ ...bounds, step })} />
      )}
      <p class={bounds.low > bounds.high ? "wrong" : "sub"} role="status">
        {bounds.low > bounds.high ? t("settings.swapped") : values === null ? t("settings.between") : said(values)}
      </p>
    </div>
  );
}

function said(values: readonly number[]): string {
  if (values.length <= 12) return t("settings.comes_to", { values: values.join(", ") });
  const [first = 0, second = 0] = values;
  return t("settings.comes_to_many", { n: values.length, first, second, last: values.at(-1) ?? 0 });
}

/** Paths that the file sweeps and no setting above stands for. */
function Others(): JSX.Element | null {
  const { store } = useBuilder();
  const sweep = store.data.value?.sweep;
  if (!isRecord(sweep)) return null;
  const own = (path: string): boolean => PARAMETERS.some((p) => p.path === path || (p.backend === undefined && path.endsWith(`.${p.path}`)));
  const paths = Object.keys(sweep).filter((path) => !own(path));
  if (paths.length === 0) return null;
  return (
    <div class="others">
      <p class="name">{t("settings.any_list")}</p>
      <ul class="chosen">
        {paths.map((path) => (
          <li key={path}>
            <span>
              <code>{plain(path, 200)}</code> <span class="sub">{plain(JSON.stringify(sweep[path]), 200)}</span>
            </span>
            <button
              type="button"
              class="quiet small"
              aria-label={`${t("remove")}: ${plain(path, 200)}`}
              onClick={() => store.edit({ path: ["sweep", path], value: undefined })}
            >
              {t("remove")}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

function AnyPath(): JSX.Element {
  const { store } = useBuilder();
  const [path, values, wrong] = [useSignal(""), useSignal(""), useSignal("")];
  const add = (): void => {
    const named = path.value.trim();
    const found = readValues(values.value, null);
    if (!/^[A-Za-z_][\w-]*(?:\.[\w-]+)+$/.test(named) || named.length > 200) wrong.value = t("settings.any_wrong");
    else if ("wrong" in found) wrong.value = found.wrong;
    else if (found.values.length > 0) {
      store.edit({ path: ["sweep", named], value: found.values });
      path.value = values.value = wrong.value = "";
    }
  };
  return (
    <div class="setting" role="group" aria-labelledby="any-name" aria-describedby="any-help">
      <p class="name" id="any-name">
        {t("settings.any")}
      </p>
      <p class="help" id="any-help">
        {t("settings.any_help")}
      </p>
      <div class="any">
        <label class="field">
          {t("settings.any_path")}
          <input type="text" spellcheck={false} autocomplete="off" maxLength={200} value={path.value} onInput={(e) => (path.value = e.currentTarget.value)} />
        </label>
        <label class="field">
          {t("settings.any_values")}
          <input
            type="text"
            spellcheck={false}
            autocomplete="off"
            maxLength={300}
            value={values.value}
            onInput={(e) => (values.value = e.currentTarget.value)}
            onKeyDown={(e) => e.key === "Enter" && add()}
          />
        </label>
        <button type="button" class="quiet" onClick={add}>
          {t("settings.any_add")}
        </button>
      </div>
      {wrong.value !== "" && (
        <p class="wrong" role="status">
          {wrong.value}
        </p>
      )}
    </div>
  );
}
