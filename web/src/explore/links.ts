/** Where things lie: what the page's template says of its outlet. */
export interface Links {
  /** The API (`/api/v1`), or null on a site without a server. */
  readonly api: string | null;
  /** The index of a site without a server. */
  readonly index: string | null;
  readonly explore: string;
  readonly compare: string;
  readonly glossary: string;
  configuration(id: string): string;
  /** The chart of a view as a file; null without a server. */
  chart(query: string, suffix: ".svg" | ".png" | ".csv"): string | null;
  /** The board of a view as a file; null without a server. */
  table(query: string, suffix: ".csv" | ".json"): string | null;
}

/** In addresses that the template wrote: stands for a configuration's id. */
const PLACEHOLDER = "0".repeat(16);

export function linksOf(element: HTMLElement): Links {
  const { source, api = "", index = "", explore = "", compare = "", glossary = "", configuration = "", chart = "" } = element.dataset;
  const live = source === "http";
  const asked = (address: string, query: string): string => (query ? `${address}?${query}` : address);
  return {
    api: live ? api.replace(/\/$/, "") : null,
    index: live ? null : index,
    explore,
    compare,
    glossary,
    configuration: (id) => configuration.replace(PLACEHOLDER, id.slice(0, 16)),
    chart: (query, suffix) => (live && chart ? asked(chart + suffix, query) : null),
    table: (query, suffix) => (live ? asked(explore + suffix, query) : null),
  };
}
