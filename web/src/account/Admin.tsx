/** The page /admin. It asks for nothing before an admin is signed in. */
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { plain } from "../words";
import { Invitations, Keys, People, Queue, Runners, TokensOfAll } from "./AdminParts";
import type { Api } from "./api";
import type { Pages, Part } from "./rows";
import type { Who } from "./session";
import { t } from "./text";

export function Admin({ api, pages, who }: { api: Api; pages: Pages; who: Who }): JSX.Element {
  const [over, setOver] = useState(false);
  if (over || !who.signed_in || who.role !== "admin")
    return (
      <Refused account={pages.account}>
        {over ? t("account.ended") : who.signed_in ? t("admin.not_admin", { name: plain(who.name ?? "") }) : t("admin.need")}
      </Refused>
    );
  const part: Part = { api, pages, ended: () => setOver(true) };
  return (
    <>
      <nav aria-label={t("admin.sections")}>
        <ul class="places">
          {PLACES.map((name) => (
            <li key={name}>
              <a href={`#${name}`}>{t(`admin.${name}.heading`)}</a>
            </li>
          ))}
        </ul>
      </nav>
      <Queue {...part} />
      <People {...part} />
      <Invitations {...part} />
      <TokensOfAll {...part} />
      <Runners {...part} />
      <Keys {...part} />
    </>
  );
}

const PLACES = ["queue", "people", "invitations", "tokens", "runners", "keys"] as const;

function Refused({ account, children }: { account: string; children: ComponentChildren }): JSX.Element {
  return (
    <>
      <p class="notice" role="status">
        {children}
      </p>
      <p class="actions">
        <a class="button" href={`${account}?next=${encodeURIComponent(location.pathname)}`}>
          {t("admin.sign_in")}
        </a>
      </p>
      <p>{t("admin.make_one")}</p>
      <pre tabIndex={0}>
        <code>lem archive token --role admin --name NAME</code>
      </pre>
    </>
  );
}
