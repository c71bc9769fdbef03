/** The page /admin. It asks for nothing before an admin is signed in. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { plain } from "../words";
import { Invitations, Keys, People, Queue, Runners, TokensOfAll } from "./AdminParts";
import type { Api } from "./api";
import { isEnded, said } from "./said";
import type { Who } from "./session";
import { t } from "./text";

export interface Pages {
  readonly account: string;
  readonly join: string;
  readonly live: string;
}

/** What each part of the page is given. `failed`: handles what went wrong; true where nothing is left to show. */
export interface Part {
  readonly api: Api;
  readonly pages: Pages;
  readonly ended: () => void;
}

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

export interface Rows<T> {
  readonly rows: readonly T[] | null;
  readonly done: string;
  readonly wrong: string;
  /** Does something, says that it was done, and looks again. What goes wrong is the caller's to show. */
  readonly act: (what: () => Promise<unknown>, words: string) => Promise<void>;
  readonly again: () => Promise<void>;
}

/** Rows of a list, and what was done to them last. */
export function useRows<T>(load: () => Promise<T[]>, ended: () => void): Rows<T> {
  const [rows, setRows] = useState<readonly T[] | null>(null);
  const [done, setDone] = useState("");
  const [wrong, setWrong] = useState("");
  const again = async (): Promise<void> => {
    try {
      setRows(await load());
      setWrong("");
    } catch (error) {
      if (isEnded(error)) ended();
      else setWrong(said(error));
    }
  };
  useEffect(() => void again(), []);
  const act = async (what: () => Promise<unknown>, words: string): Promise<void> => {
    setDone("");
    try {
      await what();
    } catch (error) {
      if (isEnded(error)) ended();
      throw error;
    }
    setDone(words);
    await again();
  };
  return { rows, done, wrong, act, again };
}
