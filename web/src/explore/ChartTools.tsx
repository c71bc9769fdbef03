/** The view as files and as a link. */
import type { JSX } from "preact";
import { t } from "../text";
import { csvOf } from "./csv";
import type { Links } from "./links";
import type { Store } from "./store";
import { write } from "./view";

export function ChartTools({ store, links }: { store: Store; links: Links }): JSX.Element {
  const query = write(store.view.value);
  const address = `${location.origin}${location.pathname}${query && `?${query}`}#chart-scatter`;
  const files = ([".csv", ".svg", ".png"] as const).flatMap((suffix) => {
    const href = links.chart(query, suffix);
    return href ? [[suffix.slice(1).toUpperCase(), href] as const] : [];
  });
  return (
    <div class="chart-tools">
      <details class="share">
        <summary>{t("explorer.share")}</summary>
        {files.length > 0 && (
          <ul class="files">
            {files.map(([name, href]) => (
              <li key={name}>
                <a href={href}>{name}</a>
              </li>
            ))}
          </ul>
        )}
        <label>
          {t("explorer.link")} <input readOnly value={address} />
          <button type="button" class="quiet copy">{t("copy.copy")}</button>
        </label>
      </details>
    </div>
  );
}

/** Of the board: from the server, or made here. */
export function Files({ store, links }: { store: Store; links: Links }): JSX.Element | null {
  const board = store.board.value;
  if (!board) return null;
  const query = write(store.view.value);
  const [csv, json] = [links.table(query, ".csv"), links.table(query, ".json")];
  return (
    <span class="files">
      {t("explore.download")}{" "}
      {csv && json ? (
        <>
          <a href={csv}>CSV</a> <a href={json}>JSON</a>
        </>
      ) : (
        <button
          type="button"
          class="quiet"
          onClick={() => save("explore.csv", csvOf(board.rows, board.citation))}
        >
          CSV
        </button>
      )}
    </span>
  );
}

function save(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
