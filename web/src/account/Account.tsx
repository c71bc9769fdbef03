/** The pages /account and /join, before and after signing in. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { plain } from "../words";
import type { Api } from "./api";
import { Campaigns } from "./Campaigns";
import { Join, type Made, Welcome } from "./Join";
import { Heading, Notice } from "./parts";
import { minute, said } from "./said";
import { SignIn } from "./SignIn";
import { NOBODY, showName, type Who } from "./session";
import { t } from "./text";
import { Tokens } from "./Tokens";

export interface Pages {
  readonly account: string;
  readonly join: string;
  readonly admin: string;
  readonly build: string;
  readonly queue: string;
  readonly live: string;
}

interface Given {
  readonly api: Api;
  readonly view: "account" | "join";
  readonly open: boolean;
  readonly pages: Pages;
  /** Of an invitation. */
  readonly secret: string;
  readonly next: string | null;
  readonly who: Who;
  readonly go: (address: string) => void;
}

export function Account({ api, view, open, pages, secret, next, who: first, go }: Given): JSX.Element {
  const [who, setWho] = useState(first);
  const [made, setMade] = useState<Made | null>(null);
  const [done, setDone] = useState("");
  /** Whether what is shown took the place of something. */
  const [moved, setMoved] = useState(false);
  const become = (now: Who, words: string): void => {
    setWho(now);
    showName(now);
    setDone(words);
    setMoved(true);
  };
  const entered = (now: Who): void => {
    if (next === null) become(now, t("account.sign_in.done", { name: plain(now.name ?? "") }));
    else go(next);
  };
  const joined = (now: Made): void => {
    setMade(now);
    if (now.who) become(now.who, "");
  };
  if (made) return <Welcome made={made} build={pages.build} account={pages.account} />;
  if (view === "join")
    return (
      <>
        {who.signed_in && <p class="notice">{t("account.join.already", { name: plain(who.name ?? "") })}</p>}
        <Join api={api} open={open} secret={secret} headed onDone={joined} />
        <p>
          <a href={pages.account}>{t(who.signed_in ? "account.made.account" : "account.join.have_token")}</a>
        </p>
      </>
    );
  if (!who.signed_in)
    return (
      <>
        <Notice done={done} />
        <SignIn api={api} onDone={entered} next={next} focused={moved} />
        {open ? (
          <Join api={api} open secret="" headed={false} onDone={joined} />
        ) : (
          <p>
            {t("account.join.invited_only")} <a href={pages.join}>{t("account.join.offer")}</a>
          </p>
        )}
      </>
    );
  return (
    <>
      <Notice done={done} />
      <Me api={api} who={who} pages={pages} focused={moved} onOut={() => become(NOBODY, t("account.me.signed_out"))} />
      {who.person && (
        <>
          <Campaigns api={api} person={who.person.id} live={pages.live} build={pages.build} queue={pages.queue} />
          <Tokens api={api} onEnded={() => become(NOBODY, t("account.ended"))} />
        </>
      )}
    </>
  );
}

function Me({ api, who, pages, focused, onOut }: { api: Api; who: Who; pages: Pages; focused: boolean; onOut: () => void }): JSX.Element {
  const [wrong, setWrong] = useState("");
  const out = (): void => void api.delete("session").then(onOut, (error: unknown) => setWrong(said(error)));
  return (
    <section class="part">
      <Heading focused={focused}>{plain(who.name ?? "")}</Heading>
      <dl class="facts">
        <dt>{t("account.me.role")}</dt>
        <dd>{t(who.role === "admin" ? "account.me.role_admin" : "account.me.role_submitter")}</dd>
        {who.person === null && (
          <>
            <dt>{t("account.me.who")}</dt>
            <dd>{t("account.me.nobody")}</dd>
          </>
        )}
        {who.until && (
          <>
            <dt>{t("account.me.until")}</dt>
            <dd>{t("account.me.until_idle", { time: minute(who.until) })}</dd>
          </>
        )}
      </dl>
      <p class="actions">
        <button type="button" class="quiet" onClick={out}>
          {t("account.me.sign_out")}
        </button>
        {who.role === "admin" && <a href={pages.admin}>{t("account.me.admin")}</a>}
      </p>
      <Notice wrong={wrong} />
    </section>
  );
}
