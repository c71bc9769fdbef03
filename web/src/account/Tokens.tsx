/** One's own tokens: what they are for, never what they are. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { plain } from "../words";
import { type Api, Refusal } from "./api";
import { Choice, Confirmed, Field, Form, Heading, Moment, Notice, Secret, Table } from "./parts";
import { day, isEnded, said } from "./said";
import type { Role } from "./session";
import { named, t } from "./text";

export interface Token {
  readonly handle: string;
  readonly name: string;
  readonly role: Role;
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly used_on: string | null;
  readonly current: boolean;
}

type Days = "30" | "90" | "365" | "ever";
const DAY_S = 86400;

export function Tokens({ api, onEnded }: { api: Api; onEnded: () => void }): JSX.Element {
  const [rows, setRows] = useState<readonly Token[] | null>(null);
  const [name, setName] = useState("");
  const [days, setDays] = useState<Days>("90");
  const [made, setMade] = useState<{ token: string } | null>(null);
  const [done, setDone] = useState("");
  const [wrong, setWrong] = useState("");
  const failed = (error: unknown): void => (isEnded(error) ? onEnded() : setWrong(why(error)));
  const load = (): Promise<void> =>
    api.get<{ rows: Token[] }>("tokens").then((found) => setRows(found.rows), failed);
  useEffect(() => void load(), []);

  const make = async (): Promise<void> => {
    setWrong("");
    setDone("");
    try {
      const valid_s = days === "ever" ? null : Number(days) * DAY_S;
      setMade(await api.post<{ token: string }>("tokens", { name: name.trim(), valid_s }));
      setName("");
      await load();
    } catch (error) {
      failed(error);
    }
  };
  const revoke = async (token: Token): Promise<void> => {
    await api.delete(`tokens/${token.handle}`);
    if (token.current) return onEnded();
    setDone(t("account.tokens.revoked", { name: plain(token.name) }));
    await load();
  };
  return (
    <section class="part">
      <Heading>{t("account.tokens.heading")}</Heading>
      <p>{t("account.tokens.lead")}</p>
      <Notice done={done} wrong={wrong} />
      {rows && (
        <Table
          label={t("account.tokens.heading")}
          columns={[t("account.tokens.name"), t("account.tokens.role"), t("account.tokens.created"), t("account.tokens.expires"), t("account.tokens.used"), t("admin.actions")]}
          rows={rows.map((token) => ({
            key: token.handle,
            cells: [
              <>
                {plain(token.name)} {token.current && <span class="badge">{t("account.tokens.current")}</span>}
              </>,
              named("account.tokens.role", token.role),
              <Moment of={day(token.created_at)} />,
              token.expires_at ? <Moment of={day(token.expires_at)} /> : t("admin.tokens.ever"),
              token.used_on ? <Moment of={token.used_on} /> : t("account.never"),
              <Confirmed
                button={t("account.tokens.revoke")}
                title={t("account.tokens.revoke_title", { name: plain(token.name) })}
                text={`${t("account.tokens.revoke_text")}${token.current ? ` ${t("account.tokens.revoke_current")}` : ""}`}
                act={() => revoke(token)}
              />,
            ],
          }))}
        />
      )}
      <Form label={t("account.tokens.make")} button={t("account.tokens.make")} send={make}>
        <Field label={t("account.tokens.make_name")} value={name} onInput={setName} />
        <Choice
          label={t("account.tokens.make_days")}
          value={days}
          onChange={setDays}
          options={[
            ["30", t("account.tokens.days_30")],
            ["90", t("account.tokens.days_90")],
            ["365", t("account.tokens.days_365")],
            ["ever", t("account.tokens.days_ever")],
          ]}
        />
      </Form>
      {made && (
        <div class="made" role="status">
          <Secret label={t("account.made.new")} value={made.token} />
          <p>{t("account.made.new_once")}</p>
          <p class="actions">
            <button type="button" class="quiet" onClick={() => setMade(null)}>
              {t("account.close")}
            </button>
          </p>
        </div>
      )}
    </section>
  );
}

function why(error: unknown): string {
  if (error instanceof Refusal && error.reason === "too_many_tokens") return t("account.tokens.too_many");
  if (error instanceof Refusal && error.reason === "bad_name") return t("account.join.bad_name");
  return said(error);
}
