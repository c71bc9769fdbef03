/** Which models: those of this archive are found by a part of their name, any other is typed. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { plain, whole } from "../words";
import { useBuilder } from "./context";
import { aboutProblems, Section } from "./Parts";
import { isHubId, type Model, modelsOf } from "./reading";
import { count, maybe, t } from "./text";

const SHOWN = 6;

export function Models(): JSX.Element {
  const { store } = useBuilder();
  const data = store.data.value ?? {};
  const models = modelsOf(data);
  const small = store.known.small;
  const hasSmall = models.some((m) => m.kind === "package" && m.name === small.model.id);
  const add = (model: unknown): void => store.edit({ path: ["models"], value: [...entries(data.models), model] });
  const remove = (index: number): void => store.edit({ path: ["models"], value: entries(data.models).filter((_, i) => i !== index) });
  return (
    <Section field="models" title={t("section.models")} help={t("models.help")}>
      {models.length === 0 ? (
        <p class="none">{t("models.none")}</p>
      ) : (
        <ul class="chosen">
          {models.map((model, i) => (
            <li key={`${i} ${model.name}`}>
              <About model={model} />
              <button type="button" class="quiet small" aria-label={`${t("remove")}: ${plain(model.name)}`} onClick={() => remove(i)}>
                {t("remove")}
              </button>
            </li>
          ))}
        </ul>
      )}
      <Find taken={new Set(models.map((m) => m.name))} onAdd={(id) => add({ id })} />
      {!hasSmall && (
        <p class="offer">
          <button type="button" class="quiet" onClick={() => add(small.model)}>
            {t("models.small")}
          </button>{" "}
          <span class="sub">{t("models.small_text", { name: String(small.model.id), parameters: small.parameters, licence: small.licence })}</span>
        </p>
      )}
    </Section>
  );
}

function entries(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** What is known of it here, and what is not. */
function About({ model }: { model: Model }): JSX.Element {
  const { known } = useBuilder().store;
  const isSmall = model.kind === "package" && model.name === known.small.model.id;
  const found = known.models.find(([name]) => name === model.name);
  const size = isSmall
    ? t("models.parameters", { parameters: known.small.parameters })
    : found?.[2]
      ? t("models.size", { size: found[2] })
      : t("models.size_unknown");
  const facts = [
    t(`models.kind.${model.kind}`),
    model.revision ? t("models.revision", { revision: plain(model.revision, 40) }) : null,
    size,
    isSmall ? t("models.licence", { licence: known.small.licence }) : t("models.licence_unknown"),
    found ? inArchive(found[1]) : null,
  ];
  return (
    <span>
      <strong>{plain(model.name, 200)}</strong>
      <span class="sub">{facts.filter(Boolean).join(" · ")}</span>
    </span>
  );
}

function inArchive(n: number): string {
  return n === 1 ? t("models.known_one") : t("models.known", { n: whole(n) });
}

function Find({ taken, onAdd }: { taken: ReadonlySet<string>; onAdd: (id: string) => void }): JSX.Element {
  const { store } = useBuilder();
  const typed = useSignal("");
  const part = typed.value.trim();
  const found = part === "" ? [] : store.known.models.filter(([name]) => name.toLowerCase().includes(part.toLowerCase())).slice(0, SHOWN);
  const isKnown = found.some(([name]) => name === part);
  const add = (id: string): void => {
    onAdd(id);
    typed.value = "";
    document.getElementById("find-model")?.focus();
  };
  return (
    <div class="find">
      <label class="field" for="find-model">
        {t("models.search")}
      </label>
      <input
        id="find-model"
        type="search"
        autocomplete="off"
        spellcheck={false}
        maxLength={200}
        placeholder={t("models.placeholder")}
        value={typed.value}
        onInput={(e) => (typed.value = e.currentTarget.value)}
        onKeyDown={(e) => {
          if (e.key === "Enter" && isHubId(part) && !taken.has(part)) add(part);
        }}
        {...aboutProblems(store.of("models").length > 0, "models")}
      />
      {part !== "" && (
        <ul class="matches" aria-label={t("models.matches")}>
          {found.map(([name, n]) => (
            <li key={name}>
              {taken.has(name) ? (
                <span>
                  {plain(name, 200)} <span class="sub">{t("models.taken")}</span>
                </span>
              ) : (
                <>
                  <button type="button" class="quiet small" aria-label={`${t("add")}: ${plain(name, 200)}`} onClick={() => add(name)}>
                    {t("add")}
                  </button>{" "}
                  {plain(name, 200)} <span class="sub">{inArchive(n)}</span>
                </>
              )}
            </li>
          ))}
          {!isKnown && !taken.has(part) && (
            <li>
              {isHubId(part) ? (
                <>
                  <button type="button" class="quiet small" onClick={() => add(part)}>
                    {t("models.any", { name: plain(part, 200) })}
                  </button>{" "}
                  <span class="sub">{t("models.any_text")}</span>
                </>
              ) : (
                <span class="sub">{t("models.no_id", { name: plain(part, 80) })}</span>
              )}
            </li>
          )}
        </ul>
      )}
    </div>
  );
}

/** The software, each with a sentence about it. */
export function Backends(): JSX.Element {
  const { store } = useBuilder();
  const chosen = store.backends.value;
  const shipped = store.known.backends;
  const runners = store.runners.value?.kind === "here" ? store.runners.value.value : null;
  // What no form knows is shown where the file, or a machine, has it.
  const more = [...new Set([...chosen, ...(runners ?? []).flatMap((r) => r.backends)])].filter((b) => !shipped.some((s) => s.name === b));
  const offered = [...ORDER.flatMap((name) => shipped.filter((b) => b.name === name)), ...shipped.filter((b) => !ORDER.includes(b.name)), ...more.map((name) => ({ name, loads: null }))];
  const toggle = (name: string, on: boolean): void => store.edit({ path: ["backends", name], value: on ? {} : undefined });
  return (
    <Section field="backends" title={t("section.backends")} help={t("backends.help")}>
      <div class="cards">
        {offered.map(({ name, loads }) => {
          const on = chosen.includes(name);
          const takers = runners?.filter((r) => r.backends.includes(name)).length ?? null;
          return (
            <label key={name} class={`pick${on ? " is-chosen" : ""}`}>
              <input type="checkbox" checked={on} onChange={(e) => toggle(name, e.currentTarget.checked)} />
              <span class="title">{plain(name, 60)}</span>
              <span class="text">
                {maybe(`backends.${name}`) ?? t(loads ? "backends.plugin" : "backends.other")}
                {loads && !loads.includes("served") && name !== "transformers" && ` (${t("backends.not_served")})`}
                {takers !== null && runners!.length > 0 && (
                  <span class={`takers${takers ? "" : " no"}`}>{takers === 0 ? t("backends.not_running") : count("backends.running", takers)}</span>
                )}
              </span>
            </label>
          );
        })}
      </div>
      {chosen.length === 0 && <p class="none">{t("choose_at_least_one")}</p>}
    </Section>
  );
}

const ORDER: readonly string[] = ["transformers", "vllm", "llama_cpp", "sglang", "tensorrt_llm"];
