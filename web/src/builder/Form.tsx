/** The form: what it shows is the file, and what is changed in it is changed in the file. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { plain } from "../words";
import { useBuilder } from "./context";
import { Backends, Models } from "./Models";
import { aboutProblems, Cards, ProblemsOf, Section, ToLine } from "./Parts";
import { at, elsewhere, text } from "./reading";
import { Settings } from "./Settings";
import { maybe, t } from "./text";
import { Work } from "./Work";

export function Form(): JSX.Element {
  const { store } = useBuilder();
  const trouble = store.parsed.value.trouble;
  if (trouble)
    return (
      <div class="inert" role="status">
        <h3>{t("trouble.heading")}</h3>
        <p>{t("trouble.text")}</p>
        <p class="wrong">
          {plain(trouble.message, 400)} {trouble.line !== null && <ToLine line={trouble.line} />}
        </p>
        {store.canUndo.value && (
          <button type="button" class="quiet" onClick={() => store.undo()}>
            {t("file.undo")}
          </button>
        )}
      </div>
    );
  return (
    <form class="form" onSubmit={(e) => e.preventDefault()}>
      <Models />
      <Backends />
      <Settings />
      <Work />
      <Measure />
      <Name />
      <Rest />
    </form>
  );
}

function Name(): JSX.Element {
  const { store } = useBuilder();
  const has = store.of("name").length > 0;
  return (
    <Section field="name" title={t("section.name")} help={t("name.help")}>
      <label class="field">
        {t("name.label")}
        <input
          type="text"
          spellcheck={false}
          autocomplete="off"
          maxLength={80}
          value={text(store.data.value?.name)}
          onInput={(e) => store.edit({ path: ["name"], value: e.currentTarget.value })}
          {...aboutProblems(has, "name", "field-name-help")}
        />
      </label>
    </Section>
  );
}

const PRESETS = ["quick", "standard", "publication"] as const;

function Measure(): JSX.Element {
  const { store } = useBuilder();
  const data = store.data.value ?? {};
  const preset = text(at(data, ["measure", "preset"])) || "standard";
  const put = (value: string): void => {
    const quick = value === "quick";
    store.edit(
      { path: ["measure", "preset"], value },
      // The quick look has a fixed number of runs and takes none.
      ...(quick ? [{ path: ["measure", "precision"], value: undefined }] : []),
    );
  };
  return (
    <Section field="measure" title={t("section.measure")} help={t("measure.help")}>
      <Cards
        name="preset"
        legend={t("measure.preset")}
        value={preset}
        options={PRESETS.map((p) => ({ value: p, title: t(`measure.${p}`), text: t(`measure.${p}_text`) }))}
        onChange={put}
      />
      <Budget />
    </Section>
  );
}

const LENGTH = /^\s*(?=[\d.])(?:[\d.]+\s*d)?\s*(?:[\d.]+\s*h)?\s*(?:[\d.]+\s*m(?:in)?)?\s*(?:[\d.]+\s*s)?\s*$/;

/** A length of time goes to the file once it is one. */
function Budget(): JSX.Element {
  const { store } = useBuilder();
  const typed = useSignal<string | null>(null);
  const value = text(at(store.data.value, ["measure", "time_budget"]));
  const has = store.of("budget").length > 0;
  const take = (input: string): void => {
    typed.value = input;
    const path = ["measure", "time_budget"];
    if (input.trim() === "") store.edit({ path, value: undefined });
    else if (LENGTH.test(input)) store.edit({ path, value: input.trim() });
  };
  return (
    <div id="field-budget">
      <label class="field short">
        {t("measure.budget")}
        <input
          type="text"
          spellcheck={false}
          autocomplete="off"
          maxLength={20}
          value={typed.value ?? value}
          onInput={(e) => take(e.currentTarget.value)}
          onBlur={() => (typed.value = null)}
          {...aboutProblems(has, "budget", "budget-help")}
        />
      </label>
      <p class="help" id="budget-help">
        {t("measure.budget_help")}
      </p>
      <ProblemsOf field="budget" />
    </div>
  );
}

/** What the form has no place for, so that nobody thinks that it is all. */
function Rest(): JSX.Element | null {
  const { store } = useBuilder();
  const found = elsewhere(store.data.value ?? {});
  if (found.length === 0 && store.of("rest").length === 0) return null;
  return (
    <Section field="rest" title={t("section.rest")} help={t("rest.help")}>
      <ul class="chosen">
        {found.map((key) => {
          const line = store.parsed.value.where(key);
          return (
            <li key={key}>
              <span>
                <code>{plain(key, 60)}</code> <span class="sub">{maybe(`rest.${key}`) ?? t("rest.other")}</span> {line !== null && <ToLine line={line} />}
              </span>
              <button type="button" class="quiet small" aria-label={`${t("remove")}: ${plain(key, 60)}`} onClick={() => store.edit({ path: [key], value: undefined })}>
                {t("remove")}
              </button>
            </li>
          );
        })}
      </ul>
    </Section>
  );
}
