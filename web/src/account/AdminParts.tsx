/** The parts of the admins' page: each a table, with what can be done to a row. All names are others' words. */
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { plain } from "../words";
import { at, type Queued } from "./Campaigns";
import { Choice, Confirmed, Field, Form, Heading, Moment, Notice, Secret, Table } from "./parts";
import { type Part, type Rows, useRows } from "./rows";
import { day, said } from "./said";
import type { Token } from "./Tokens";
import { type Key, named, t } from "./text";

const DAY_S = 86400;

interface Row {
  readonly key: string;
  readonly cells: readonly ComponentChildren[];
  readonly off?: boolean;
}

interface Shown<T> {
  readonly name: "people" | "tokens" | "runners" | "queue" | "keys" | "invitations";
  readonly found: Rows<T>;
  readonly columns: readonly Key[];
  readonly row: (of: T) => Row;
  readonly lead?: string;
  readonly children?: ComponentChildren;
}

function Section<T>({ name, found, columns, row, lead, children }: Shown<T>): JSX.Element {
  const heading = t(`admin.${name}.heading`);
  return (
    <section class="part" id={name}>
      <Heading>{heading}</Heading>
      {lead && <p>{lead}</p>}
      <Notice done={found.done} wrong={found.wrong} />
      {found.rows?.length === 0 && <p class="empty">{t(`admin.${name}.none`)}</p>}
      {found.rows && found.rows.length > 0 && <Table label={heading} columns={columns.map((key) => t(key))} rows={found.rows.map(row)} />}
      {children}
    </section>
  );
}

interface Person {
  readonly id: string;
  readonly name: string;
  readonly enrolled_by: string;
  readonly invited_as: string | null;
  readonly created_at: string;
  readonly disabled_at: string | null;
  readonly tokens: number;
  readonly used_on: string | null;
}

export function People({ api, ended }: Part): JSX.Element {
  const found = useRows(() => api.all<Person>("admin/people"), ended);
  const set = (person: Person, what: "disable" | "enable"): Promise<void> =>
    found.act(
      () => api.post(`admin/people/${person.id}/${what}`),
      t(what === "disable" ? "admin.people.disabled_now" : "admin.people.enabled_now", { name: plain(person.name) }),
    );
  return (
    <Section
      name="people"
      found={found}
      columns={["admin.people.name", "account.tokens.handle", "admin.people.how", "admin.since", "admin.people.tokens", "account.tokens.used", "admin.people.state", "admin.actions"]}
      row={(person) => ({
        key: person.id,
        off: person.disabled_at !== null,
        cells: [
          plain(person.name),
          <code>{person.id}</code>,
          person.invited_as ? t("admin.people.how_invited", { name: plain(person.invited_as) }) : named("admin.people.how", person.enrolled_by),
          <Moment of={day(person.created_at)} />,
          String(person.tokens),
          person.used_on ? <Moment of={person.used_on} /> : t("account.never"),
          t(person.disabled_at ? "admin.people.disabled" : "admin.people.active"),
          person.disabled_at ? (
            <Enable act={() => set(person, "enable")} />
          ) : (
            <Confirmed
              button={t("admin.people.disable")}
              title={t("admin.people.disable_title", { name: plain(person.name) })}
              text={t("admin.people.disable_text")}
              act={() => set(person, "disable")}
            />
          ),
        ],
      })}
    />
  );
}

/** Takes nothing from anybody, so that it asks nothing. */
function Enable({ act }: { act: () => Promise<void> }): JSX.Element {
  const [wrong, setWrong] = useState("");
  return (
    <>
      <button type="button" class="quiet" onClick={() => void act().catch((error: unknown) => setWrong(said(error)))}>
        {t("admin.people.enable")}
      </button>
      <Notice wrong={wrong} />
    </>
  );
}

type Role = "runner" | "submitter" | "admin";
type Days = "30" | "90" | "365" | "ever";

export function TokensOfAll({ api, ended }: Part): JSX.Element {
  const found = useRows(() => api.all<Token & { person: string | null }>("admin/tokens"), ended);
  const [role, setRole] = useState<Role>("runner");
  const [name, setName] = useState("");
  const [days, setDays] = useState<Days>("ever");
  const [made, setMade] = useState("");
  const [wrong, setWrong] = useState("");
  const make = async (): Promise<void> => {
    setWrong("");
    try {
      const valid_s = days === "ever" ? null : Number(days) * DAY_S;
      setMade((await api.post<{ token: string }>("admin/tokens", { role, name: name.trim(), valid_s })).token);
      setName("");
      await found.again();
    } catch (error) {
      setWrong(said(error));
    }
  };
  return (
    <Section
      name="tokens"
      found={found}
      lead={t("admin.tokens.lead")}
      columns={["account.tokens.name", "account.tokens.handle", "account.tokens.role", "admin.tokens.person", "account.tokens.created", "account.tokens.expires", "account.tokens.used", "admin.actions"]}
      row={(token) => ({
        key: token.handle,
        cells: [
          plain(token.name),
          <code>{token.handle}</code>,
          named("account.tokens.role", token.role),
          token.person ? <code>{token.person}</code> : t("admin.tokens.nobody"),
          <Moment of={day(token.created_at)} />,
          token.expires_at ? <Moment of={day(token.expires_at)} /> : t("admin.tokens.ever"),
          token.used_on ? <Moment of={token.used_on} /> : t("account.never"),
          <Confirmed
            button={t("account.tokens.revoke")}
            title={t("account.tokens.revoke_title", { name: plain(token.name) })}
            text={t("admin.tokens.revoke_text")}
            act={() => found.act(() => api.post("admin/tokens/revoke", { handle: token.handle }), t("account.tokens.revoked", { name: plain(token.name) }))}
          />,
        ],
      })}
    >
      <Form label={t("admin.tokens.make")} button={t("admin.tokens.make")} send={make}>
        <Choice
          label={t("admin.tokens.role_label")}
          value={role}
          onChange={setRole}
          options={[
            ["runner", t("admin.tokens.role_runner")],
            ["submitter", t("admin.tokens.role_submitter")],
            ["admin", t("admin.tokens.role_admin")],
          ]}
        />
        <Field label={t(role === "runner" ? "admin.tokens.name_runner" : "admin.tokens.name_person")} value={name} onInput={setName} />
        <Choice
          label={t("account.tokens.make_days")}
          value={days}
          onChange={setDays}
          options={[
            ["30", t("account.tokens.days_30")],
            ["90", t("account.tokens.days_90")],
            ["365", t("account.tokens.days_365")],
            ["ever", t("admin.tokens.ever")],
          ]}
        />
      </Form>
      <Notice wrong={wrong} />
      <Once label={t("account.made.new")} text={t("account.made.new_once")} value={made} close={() => setMade("")} />
    </Section>
  );
}

/** What was made and is shown this once; nothing where nothing was. */
function Once({ label, text, value, close }: { label: string; text: string; value: string; close: () => void }): JSX.Element {
  return (
    <div role="status">
      {value !== "" && (
        <div class="made">
          <Secret label={label} value={value} />
          <p>{text}</p>
          <p class="actions">
            <button type="button" class="quiet" onClick={close}>
              {t("account.close")}
            </button>
          </p>
        </div>
      )}
    </div>
  );
}

interface Runner {
  readonly id: string;
  readonly name: string;
  readonly token: string;
  readonly hardware: { readonly cpu: string; readonly cores: number; readonly devices: readonly { readonly model: string; readonly count: number }[] };
  readonly seen_at: string;
  readonly doing: string;
  readonly disabled_at: string | null;
}

export function Runners({ api, ended }: Part): JSX.Element {
  const found = useRows(() => api.all<Runner>("admin/runners"), ended);
  const set = (runner: Runner, what: "disable" | "enable"): Promise<void> =>
    found.act(
      () => api.post(`admin/runners/${runner.id}/${what}`),
      t(what === "disable" ? "admin.people.disabled_now" : "admin.people.enabled_now", { name: plain(runner.name) }),
    );
  return (
    <Section
      name="runners"
      found={found}
      columns={["admin.runners.name", "admin.runners.hardware", "admin.runners.seen", "admin.runners.doing", "admin.people.state", "admin.actions"]}
      row={(runner) => ({
        key: runner.id,
        off: runner.disabled_at !== null,
        cells: [
          plain(runner.name),
          hardware(runner),
          <Moment of={runner.seen_at} />,
          plain(runner.doing),
          t(runner.disabled_at ? "admin.people.disabled" : "admin.people.active"),
          runner.disabled_at ? (
            <Enable act={() => set(runner, "enable")} />
          ) : (
            <Confirmed
              button={t("admin.people.disable")}
              title={t("admin.runners.disable_title", { name: plain(runner.name) })}
              text={t("admin.runners.disable_text", { token: runner.token })}
              act={() => set(runner, "disable")}
            />
          ),
        ],
      })}
    />
  );
}

function hardware({ hardware: { cpu, cores, devices } }: Runner): string {
  if (devices.length === 0) return t("admin.runners.cpu_only", { cpu: plain(cpu), cores });
  return devices.map(({ count, model }) => t("admin.runners.gpus", { count, model: plain(model) })).join(", ");
}

export function Queue({ api, pages, ended }: Part): JSX.Element {
  const found = useRows(async () => {
    const [running, waiting] = await Promise.all(
      ["running", "queued"].map((state) => api.get<{ rows: Queued[] }>(`queue?state=${state}&limit=200`)),
    );
    return [...(running?.rows ?? []), ...(waiting?.rows ?? [])];
  }, ended);
  return (
    <Section
      name="queue"
      found={found}
      columns={["account.campaigns.name", "account.campaigns.state", "admin.queue.person", "account.campaigns.asked", "admin.runners.name", "admin.actions"]}
      row={(queued) => ({
        key: queued.id,
        cells: [
          <a href={at(pages.live, queued.id)}>{plain(queued.name) || queued.id}</a>,
          named("account.campaigns.states", queued.state),
          plain(queued.person.name),
          <Moment of={queued.created_at} />,
          queued.runner ? plain(queued.runner.name) : "",
          <Confirmed
            button={t("admin.queue.cancel")}
            title={t("admin.queue.cancel_title", { name: plain(queued.name) })}
            text={t("admin.queue.cancel_text", { name: plain(queued.person.name) })}
            cancel={t("admin.queue.keep")}
            act={() => found.act(() => api.post(`queue/${queued.id}/cancel`), t("admin.queue.cancelled", { name: plain(queued.name) }))}
          />,
        ],
      })}
    >
      <p class="actions">
        <button type="button" class="quiet" onClick={() => void found.again()}>
          {t("admin.refresh")}
        </button>
      </p>
    </Section>
  );
}

interface EnrolledKey {
  readonly key: string;
  readonly name: string;
  readonly enrolled_by: string;
  readonly created_at: string;
  readonly revoked_at: string | null;
  readonly replaced_by: string | null;
}

export function Keys({ api, ended }: Part): JSX.Element {
  const found = useRows(() => api.all<EnrolledKey>("admin/keys"), ended);
  return (
    <Section
      name="keys"
      found={found}
      columns={["admin.keys.name", "admin.keys.key", "admin.keys.how", "admin.since", "admin.people.state", "admin.actions"]}
      row={(key) => ({
        key: key.key,
        off: key.revoked_at !== null,
        cells: [
          plain(key.name),
          <code>{key.key.slice(0, 16)}</code>,
          named("admin.keys.how", key.enrolled_by),
          <Moment of={day(key.created_at)} />,
          key.replaced_by ? t("admin.keys.replaced") : key.revoked_at ? t("admin.keys.revoked") : t("admin.people.active"),
          key.revoked_at === null && (
            <Confirmed
              button={t("admin.keys.revoke")}
              title={t("admin.keys.revoke_title", { name: plain(key.name) })}
              text={t("admin.keys.revoke_text", { key: key.key.slice(0, 16) })}
              act={() => found.act(() => api.post(`admin/keys/${key.key}/revoke`), t("account.tokens.revoked", { name: key.key.slice(0, 16) }))}
            />
          ),
        ],
      })}
    />
  );
}

interface Invitation {
  readonly id: string;
  readonly name: string;
  readonly expires_at: string;
}

export function Invitations({ api, pages, ended }: Part): JSX.Element {
  const found = useRows(async () => (await api.get<{ rows: Invitation[] }>("admin/invitations")).rows, ended);
  const [name, setName] = useState("");
  const [days, setDays] = useState<"1" | "7" | "30">("7");
  const [made, setMade] = useState<{ name: string; link: string } | null>(null);
  const [wrong, setWrong] = useState("");
  const make = async (): Promise<void> => {
    setWrong("");
    try {
      const { secret, link } = await api.post<{ secret: string; link: string | null }>("admin/invitations", { name: name.trim(), valid_s: Number(days) * DAY_S });
      setMade({ name: name.trim(), link: link ?? `${new URL(pages.join, location.href).href}#${secret}` });
      setName("");
      await found.again();
    } catch (error) {
      setWrong(said(error));
    }
  };
  return (
    <Section
      name="invitations"
      found={found}
      lead={t("admin.invitations.lead")}
      columns={["admin.invitations.name", "admin.invitations.expires", "admin.actions"]}
      row={(invitation) => ({
        key: invitation.id,
        cells: [
          plain(invitation.name),
          <Moment of={invitation.expires_at} />,
          <Confirmed
            button={t("admin.invitations.revoke")}
            title={t("admin.invitations.revoke_title", { name: plain(invitation.name) })}
            text={t("admin.invitations.revoke_text")}
            act={() => found.act(() => api.post(`admin/invitations/${invitation.id}/revoke`), t("admin.invitations.taken_back", { name: plain(invitation.name) }))}
          />,
        ],
      })}
    >
      <Form label={t("admin.invitations.make")} button={t("admin.invitations.make")} send={make}>
        <Field label={t("admin.invitations.make_name")} value={name} onInput={setName} />
        <Choice
          label={t("account.tokens.make_days")}
          value={days}
          onChange={setDays}
          options={[
            ["1", t("admin.invitations.days_1")],
            ["7", t("admin.invitations.days_7")],
            ["30", t("account.tokens.days_30")],
          ]}
        />
      </Form>
      <Notice wrong={wrong} />
      <Once
        label={t("admin.invitations.made", { name: plain(made?.name ?? "") })}
        text={t("admin.invitations.made_once")}
        value={made?.link ?? ""}
        close={() => setMade(null)}
      />
    </Section>
  );
}
