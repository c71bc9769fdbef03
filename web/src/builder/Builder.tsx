/** Form and file side by side, or one behind the other where the window is narrow. */
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { Provider, type Here } from "./context";
import { FilePane } from "./FilePane";
import { Form } from "./Form";
import { Cost, Known } from "./Outcome";
import { Run } from "./Run";
import { Tally } from "./Tally";
import { t } from "./text";

export function Builder({ here }: { here: Here }): JSX.Element {
  const { store } = here;
  return (
    <Provider value={here}>
      <div class="builder">
        <p class="notice" role="status" hidden={store.said.value === ""}>
          {store.said.value}
        </p>
        <Tally />
        <Panes here={here} />
        <Known />
        <Cost />
        <Run />
      </div>
    </Provider>
  );
}

const TABS = ["form", "file"] as const;

function Panes({ here: { places } }: { here: Here }): JSX.Element {
  const list = useRef<HTMLDivElement>(null);
  const isWide = places.isWide.value;
  const chosen = places.tab.value;
  const move = (e: KeyboardEvent): void => {
    if (e.key !== "ArrowLeft" && e.key !== "ArrowRight") return;
    places.tab.value = chosen === "form" ? "file" : "form";
    requestAnimationFrame(() => list.current?.querySelector<HTMLElement>('[aria-selected="true"]')?.focus());
  };
  return (
    <>
      {!isWide && (
        <div class="tabs" role="tablist" aria-label={t("tabs.label")} ref={list}>
          {TABS.map((name) => (
            <button
              key={name}
              type="button"
              role="tab"
              id={`tab-${name}`}
              aria-selected={chosen === name}
              aria-controls={`pane-${name}`}
              tabIndex={chosen === name ? 0 : -1}
              onClick={() => (places.tab.value = name)}
              onKeyDown={move}
            >
              {t(`tabs.${name}`)}
            </button>
          ))}
        </div>
      )}
      <div class="panes">
        <div id="pane-form" class="pane" hidden={!isWide && chosen !== "form"} {...(isWide ? {} : { role: "tabpanel", "aria-labelledby": "tab-form" })}>
          <h2 class="visually-hidden">{t("tabs.form")}</h2>
          <Form />
        </div>
        <div id="pane-file" class="pane" hidden={!isWide && chosen !== "file"} {...(isWide ? {} : { role: "tabpanel", "aria-labelledby": "tab-file" })}>
          <h2>{t("file.heading")}</h2>
          <p class="help">{t("file.lead")}</p>
          <FilePane />
        </div>
      </div>
    </>
  );
}
