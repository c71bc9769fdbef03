/** What a person has asked for. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { plain } from "../words";
import type { Api } from "./api";
import { Heading, Moment, Notice, Table } from "./parts";
import { said } from "./said";
import { named, t } from "./text";

export interface Queued {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly created_at: string;
  readonly person: { readonly id: string; readonly name: string };
  readonly runner: { readonly id: string; readonly name: string } | null;
}

/** `live`: the address of a campaign's own page, with QUEUED for its id. */
export function Campaigns({ api, person, live, build, queue }: { api: Api; person: string; live: string; build: string; queue: string }): JSX.Element {
  const [rows, setRows] = useState<readonly Queued[] | null>(null);
  const [wrong, setWrong] = useState("");
  useEffect(() => {
    api.get<{ rows: Queued[] }>(`queue?person=${encodeURIComponent(person)}&limit=50`).then(
      (found) => setRows(found.rows),
      (error: unknown) => setWrong(said(error)),
    );
  }, [person]);
  return (
    <section class="part">
      <Heading>{t("account.campaigns.heading")}</Heading>
      <Notice wrong={wrong} />
      {rows?.length === 0 && (
        <p class="empty">
          {t("account.campaigns.none")} <a href={build}>{t("account.campaigns.build")}</a>
        </p>
      )}
      {rows && rows.length > 0 && (
        <Table
          label={t("account.campaigns.heading")}
          columns={[t("account.campaigns.name"), t("account.campaigns.state"), t("account.campaigns.asked")]}
          rows={rows.map((row) => ({
            key: row.id,
            cells: [<a href={at(live, row.id)}>{plain(row.name) || row.id}</a>, named("account.campaigns.states", row.state), <Moment of={row.created_at} />],
          }))}
        />
      )}
      <p>
        <a href={queue}>{t("account.campaigns.all")}</a>
      </p>
    </section>
  );
}

export function at(live: string, id: string): string {
  return live.replace("QUEUED", encodeURIComponent(id));
}
