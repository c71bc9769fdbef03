/** Becoming a person here: with an invitation, or where anybody may. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { type Api, Refusal } from "./api";
import { Field, Form, Heading, Notice, Secret } from "./parts";
import { said } from "./said";
import type { Who } from "./session";
import { t } from "./text";

interface Joined {
  readonly person: { readonly id: string; readonly name: string };
  readonly token: string;
}

/** What came of joining: the token, which is shown this once, and whether the browser was signed in with it. */
export interface Made {
  readonly name: string;
  readonly token: string;
  readonly who: Who | null;
  readonly why: string;
}

interface Joining {
  readonly api: Api;
  readonly open: boolean;
  /** What the address's `#` said. */
  readonly secret: string;
  /** Whether its heading is the page's already. */
  readonly headed: boolean;
  readonly onDone: (made: Made) => void;
}

export function Join({ api, open, secret, headed, onDone }: Joining): JSX.Element {
  const [name, setName] = useState("");
  const [typed, setTyped] = useState("");
  const [wrong, setWrong] = useState("");
  const invited = secret !== "";
  const send = async (): Promise<void> => {
    setWrong("");
    try {
      const invitation = secret || secretOf(typed) || null;
      onDone(await entered(api, await api.post<Joined>("accounts", { name: name.trim(), invitation })));
    } catch (error) {
      setWrong(why(error));
    }
  };
  return (
    <section class="part">
      {!headed && <Heading>{t("account.join.heading")}</Heading>}
      <p>{t(invited ? "account.join.with_invitation" : open ? "account.join.open" : "account.join.invited_only")}</p>
      <Form label={t("account.join.heading")} button={t("account.join.button")} send={send}>
        <Field
          label={t("account.join.name")}
          hint={t(invited || !open ? "account.join.name_invited" : "account.join.name_hint")}
          value={name}
          onInput={setName}
          autocomplete="nickname"
          required={open && !invited}
        />
        {!invited && !open && (
          <Field label={t("account.join.invitation")} hint={t("account.join.invitation_hint")} value={typed} onInput={setTyped} secret />
        )}
      </Form>
      <Notice wrong={wrong} />
      {invited && <p class="sub">{t("account.join.key")}</p>}
    </section>
  );
}

/** Signs in with the token that joining gave. Where that fails, the token must still be shown. */
async function entered(api: Api, { person, token }: Joined): Promise<Made> {
  try {
    return { name: person.name, token, who: await api.post<Who>("session", { token }), why: "" };
  } catch (error) {
    return { name: person.name, token, who: null, why: said(error) };
  }
}

function why(error: unknown): string {
  if (error instanceof Refusal && error.reason === "invitation_unknown") return t("account.join.used");
  if (error instanceof Refusal && error.reason === "invitation_needed") return t("account.join.invited_only");
  if (error instanceof Refusal && error.reason === "bad_name") return t("account.join.bad_name");
  return said(error);
}

/** Of a link or of a secret alone. */
export function secretOf(text: string): string {
  const trimmed = text.trim();
  return trimmed.slice(trimmed.indexOf("#") + 1);
}

export function Welcome({ made, build, account }: { made: Made; build: string; account: string }): JSX.Element {
  return (
    <section class="part">
      <Heading focused>{t("account.made.heading", { name: made.name })}</Heading>
      <p>{t("account.made.once")}</p>
      <Secret label={t("account.made.label")} value={made.token} />
      <p>{made.who ? t("account.made.signed_in") : t("account.made.not_signed_in", { why: made.why })}</p>
      <p class="actions">
        <a class="button" href={build}>
          {t("account.made.build")}
        </a>
        <a href={account}>{t("account.made.account")}</a>
      </p>
    </section>
  );
}
