/** The file, to be read and changed; beside its lines, where something is wrong. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { plain } from "../words";
import { isText, MOST_BYTES } from "./codec";
import { useBuilder } from "./context";
import type { Placed, Store } from "./store";
import { count, t } from "./text";

export function FilePane(): JSX.Element {
  const { store } = useBuilder();
  const dragged = useSignal(false);
  const input = useRef<HTMLInputElement>(null);
  const take = async (file: File | undefined | null): Promise<void> => {
    if (file) await read(file, store);
  };
  return (
    <div
      class={`file${dragged.value ? " is-dragged" : ""}`}
      onDragOver={(e) => {
        if (!e.dataTransfer?.types.includes("Files")) return;
        e.preventDefault();
        dragged.value = true;
      }}
      onDragLeave={(e) => {
        if (!(e.currentTarget as HTMLElement).contains(e.relatedTarget as Node | null)) dragged.value = false;
      }}
      onDrop={(e) => {
        if (!e.dataTransfer?.files.length) return;
        e.preventDefault();
        dragged.value = false;
        void take(e.dataTransfer.files[0]);
      }}
    >
      <div class="file-tools" role="group" aria-label={t("file.heading")}>
        <button type="button" class="quiet small" disabled={!store.canUndo.value} onClick={() => store.undo()}>
          {t("file.undo")}
        </button>
        <button type="button" class="quiet small" disabled={!store.canRedo.value} onClick={() => store.redo()}>
          {t("file.redo")}
        </button>
        <button type="button" class="quiet small" onClick={() => store.replace(store.known.start)}>
          {t("file.reset")}
        </button>
        <Copies label={t("file.copy")} done={t("file.copied")} text={() => store.text.peek()} />
        <button type="button" class="quiet small" onClick={() => download(store.text.peek())}>
          {t("file.download")}
        </button>
        <button type="button" class="quiet small" onClick={() => input.current?.click()}>
          {t("file.load")}
        </button>
        <input
          ref={input}
          type="file"
          hidden
          aria-label={t("file.load")}
          accept=".yaml,.yml,.json,text/plain"
          onChange={(e) => {
            void take(e.currentTarget.files?.[0]);
            e.currentTarget.value = "";
          }}
        />
        <Copies label={t("file.link")} done={t("file.link_copied")} text={() => location.href} />
      </div>
      <Editor />
      <p class="drop-here" aria-hidden="true">
        {t("file.drop")}
      </p>
      <Problems />
    </div>
  );
}

async function read(file: File, store: Store): Promise<void> {
  const name = plain(file.name, 80);
  if (file.size > MOST_BYTES) {
    store.said.value = t("file.too_large", { name, kib: MOST_BYTES / 1024 });
    return;
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    if (!isText(text)) throw new TypeError("no text");
    store.replace(text.replaceAll("\r\n", "\n"));
    store.said.value = t("file.loaded", { name });
  } catch {
    store.said.value = t("file.no_text", { name });
  }
}

function download(text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/yaml" }));
  link.download = "campaign.yaml";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function Copies({ label, done, text }: { label: string; done: string; text: () => string }): JSX.Element {
  const said = useSignal("");
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text());
      said.value = done;
    } catch {
      said.value = t("file.copy_failed");
    }
    setTimeout(() => (said.value = ""), 1500);
  };
  return (
    <button type="button" class="quiet small" onClick={() => void copy()}>
      <span aria-live="polite">{said.value || label}</span>
    </button>
  );
}

function Editor(): JSX.Element {
  const { store, places } = useBuilder();
  const area = useRef<HTMLTextAreaElement>(null);
  const gutter = useRef<HTMLDivElement>(null);
  const text = store.text.value;
  const lines = text.split("\n").length;
  const wrong = new Set(store.problems.value.map((p) => p.line));
  useEffect(() => {
    places.toLine = (line) => area.current && toLine(area.current, line);
  }, []);
  const scrolled = (): void => {
    if (gutter.current && area.current) gutter.current.scrollTop = area.current.scrollTop;
  };
  const key = (e: KeyboardEvent): void => {
    // The browser's own steps back end where the form changes the text.
    if (!(e.ctrlKey || e.metaKey) || e.altKey) return;
    const isRedo = (e.key === "z" && e.shiftKey) || e.key === "Z" || e.key === "y";
    if (e.key !== "z" && !isRedo) return;
    e.preventDefault();
    if (isRedo) store.redo();
    else store.undo();
  };
  return (
    <div class="editor">
      <div class="gutter" ref={gutter} aria-hidden="true">
        {Array.from({ length: lines }, (_, i) => (
          <span key={i} class={wrong.has(i + 1) ? "is-wrong" : undefined}>
            {i + 1}
          </span>
        ))}
      </div>
      <textarea
        ref={area}
        aria-label={t("file.label")}
        aria-describedby="file-problems"
        aria-invalid={store.problems.value.length > 0}
        spellcheck={false}
        autocomplete="off"
        autocapitalize="off"
        wrap="off"
        value={text}
        onInput={(e) => store.type(e.currentTarget.value)}
        onKeyDown={key}
        onScroll={scrolled}
      />
    </div>
  );
}

function toLine(area: HTMLTextAreaElement, line: number): void {
  const lines = area.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((n, l) => n + l.length + 1, 0);
  area.focus();
  area.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
  const height = area.scrollHeight / Math.max(1, lines.length);
  area.scrollTop = Math.max(0, (line - 4) * height);
  area.scrollLeft = 0;
}

const SHOWN = 8;

/** All that is wrong: each leads to its line, and to its field. */
function Problems(): JSX.Element {
  const { store } = useBuilder();
  const found = store.problems.value;
  return (
    <div id="file-problems" class="problems">
      {/* What came of it is said; that it is under way, after each key, is not. */}
      <p role="status" class={`checked is-${found.length > 0 ? "wrong" : store.checked.value}`}>
        {found.length > 0 ? count("file.problems", found.length) : standing(store)}
      </p>
      {found.length === 0 && store.checked.value === "checking" && <p class="checking">{t("file.checking")}</p>}
      {found.length > 0 && (
        <ol>
          {found.slice(0, SHOWN).map((one, i) => (
            <One key={i} one={one} />
          ))}
        </ol>
      )}
      {found.length > SHOWN && <p class="sub">{t("and_more", { n: found.length - SHOWN })}</p>}
    </div>
  );
}

function One({ one }: { one: Placed }): JSX.Element {
  const { store, places } = useBuilder();
  const { line, field } = one;
  return (
    <li>
      {line === null ? (
        plain(one.message, 600)
      ) : (
        <button type="button" class="link" onClick={() => places.line(line)}>
          {t("at_line", { line })}: {plain(one.message, 600)}
        </button>
      )}
      {field !== null && store.data.value !== null && (
        <>
          {" "}
          <button type="button" class="link" onClick={() => places.field(field)}>
            {t("file.to_field")}
          </button>
        </>
      )}
    </li>
  );
}

function standing(store: Store): string {
  switch (store.checked.value) {
    case "fine":
      return t("file.fine");
    case "offline":
      return t("file.waiting");
    case "often":
      return t("file.often");
    case "failed":
      return t("file.failed", { why: plain(store.failure.value, 200) });
    case "unread":
      return t("file.not_sent");
    default:
      return "";
  }
}
