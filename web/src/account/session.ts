/** Who is signed in in this browser. Pages are the same for everybody: their scripts ask. */
import { plain } from "../words";
import { Api } from "./api";

export type Role = "admin" | "submitter" | "runner" | "owner";

export interface Who {
  readonly signed_in: boolean;
  readonly role: Role | null;
  readonly person: { readonly id: string; readonly name: string } | null;
  /** The person's, or that of an admin's token that belongs to nobody. */
  readonly name: string | null;
  /** The handle of the token that the browser signed in with. */
  readonly token: string | null;
  /** When the session ends, where nothing is asked meanwhile. */
  readonly until: string | null;
}

export const NOBODY: Who = { signed_in: false, role: null, person: null, name: null, token: null, until: null };

/** Asks the server, and puts the name into the head of the page. `api`: as `/api/v1/`. Where the server does
 * not answer, nobody is signed in. */
export async function whoIs(api: string | Api): Promise<Who> {
  const who = await (typeof api === "string" ? new Api(api) : api).get<Who>("session").catch(() => NOBODY);
  showName(who);
  return who;
}

/** In the link to the account. */
export function showName(who: Who): void {
  for (const link of document.querySelectorAll<HTMLElement>("a[data-account]")) {
    const unnamed = (link.dataset.unnamed ??= link.textContent ?? "");
    link.textContent = who.signed_in && who.name ? plain(who.name, 24) : unnamed;
  }
}
