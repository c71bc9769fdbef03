/** On a site without a server: reads from the address what is to be compared. Where that is nothing, or
 * nothing that is here, the page's own offer stays. */
import { render } from "preact";
import { Comparison } from "../compare/Comparison";
import { type Answer, beside, type Campaigns, campaignOf, type Found, idsOf, MOST, picked } from "../compare/found";
import { load } from "../explore/file_source";
import { type Links, linksOf } from "../explore/links";
import { Refused } from "../explore/source";
import { t } from "../text";

/** In the address that the template wrote: stands for a campaign. */
const CAMPAIGN = "CAMPAIGN";

export default async function mount(element: HTMLElement): Promise<void> {
  for (const offer of element.querySelectorAll<HTMLElement>("[data-offer]")) offer.hidden = false;
  const ids = idsOf(location.search);
  if (ids.length < 2) return;
  const say = notice(element);
  const links = linksOf(element);
  const { comparisons = "", comparison = "", campaign = "" } = element.dataset;
  const at = (address: string, id: string): string => address.replace(CAMPAIGN, encodeURIComponent(id));
  try {
    if (ids.length > MOST) throw new Refused("too_many", t("compare.too_many", { most: MOST, n: ids.length }));
    const found = await foundOf(ids, links, comparisons, (id) => `${at(comparison, id)}${ids[0] ?? ""}.json`);
    element.replaceChildren();
    render(<Comparison found={found} links={links} campaign={(id) => at(campaign, id)} />, element);
  } catch (error) {
    say(error instanceof Refused ? error.message : t("compare.failed", { why: String(error) }));
  }
}

async function foundOf(
  ids: readonly string[],
  links: Links,
  comparisons: string,
  fileOf: (campaign: string) => string,
): Promise<Found> {
  const { campaigns } = (await json(comparisons)) as { campaigns: Campaigns };
  const campaign = campaignOf(campaigns, ids);
  if (campaign !== null) return picked((await json(fileOf(campaign))) as Answer, ids);
  const file = await load(links.index ?? "");
  const unknown = ids.filter((id) => !file.index.ids.includes(id));
  if (unknown.length > 0) throw new Refused("no_such_configuration", t("compare.unknown", { ids: unknown.join(", ") }));
  return beside(file, ids);
}

async function json(address: string): Promise<unknown> {
  const answer = await fetch(address);
  if (!answer.ok) throw new Refused("no_file", t("compare.failed", { why: `${address}: ${answer.status}` }));
  return answer.json();
}

/** A line above the offer, said as it changes. */
function notice(element: HTMLElement): (words: string) => void {
  const line = document.createElement("p");
  line.className = "notice";
  line.setAttribute("role", "status");
  element.prepend(line);
  const say = (words: string): void => {
    line.textContent = words;
  };
  say(t("compare.loading"));
  return say;
}
