/** Have it run: on a connected machine, or on one's own. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { plain } from "../words";
import type { Answer, Runner } from "./answers";
import { useBuilder } from "./context";
import { refusals } from "./matching";
import { modelsOf } from "./reading";
import type { Store } from "./store";
import { t } from "./text";

/** In this tab alone, while somebody signs in. */
export const DRAFT = "lem.draft";

export function Run(): JSX.Element {
  return (
    <section class="run">
      <h2>{t("run.heading")}</h2>
      <div class="ways-to-run">
        <Queue />
        <OwnMachine />
      </div>
    </section>
  );
}

function OwnMachine(): JSX.Element {
  return (
    <div>
      <h3>{t("run.own_heading")}</h3>
      <p>{t("run.own_text")}</p>
      <pre>
        <code>{"lem campaign plan campaign.yaml\nlem campaign run campaign.yaml"}</code>
      </pre>
    </div>
  );
}

function Queue(): JSX.Element {
  const { pages } = useBuilder();
  return (
    <div>
      <h3>{t("run.queue_heading")}</h3>
      <Runners />
      <Asking />
      <p>
        <a href={pages.queue}>{t("run.see_queue")}</a>
      </p>
    </div>
  );
}

function Runners(): JSX.Element {
  const { store } = useBuilder();
  const answer = store.runners.value;
  if (answer?.kind === "none" || (answer?.kind === "here" && answer.value.length === 0)) return <p>{t("run.runners_none")}</p>;
  if (answer?.kind !== "here") return <p>{t("run.runners_wait")}</p>;
  const models = modelsOf(store.data.value ?? {}).flatMap((m) => m.offered ?? []);
  const asked = { models, backends: store.backends.value, seconds: store.estimate?.seconds.low ?? null };
  const found = answer.value.map((runner) => ({ runner, why: refusals(runner, asked) }));
  const nobody = store.data.value !== null && found.every((f) => f.why.length > 0);
  return (
    <>
      <ul class="machines" aria-label={t("run.runners_heading")}>
        {found.map(({ runner, why }, i) => (
          <Machine key={i} runner={runner} why={why} />
        ))}
      </ul>
      {nobody && <p class="note">{t("run.nobody")}</p>}
    </>
  );
}

function Machine({ runner, why }: { runner: Runner; why: readonly string[] }): JSX.Element {
  const gpus = runner.devices.map((d) => `${d.count} × ${plain(d.model, 80)}`).join(", ") || t("run.cpu_only");
  const facts = [
    gpus,
    t("run.cores", { cpu: plain(runner.cpu, 80), cores: runner.cores }),
    runner.meters.length > 0 ? t("run.meters", { names: runner.meters.map((m) => plain(m, 40)).join(", ") }) : t("run.no_meters"),
    runner.hours ? t("run.hours", { hours: plain(runner.hours, 120) }) : null,
    runner.doing ? t("run.doing", { what: plain(runner.doing, 120) }) : null,
  ];
  return (
    <li>
      <strong>{plain(runner.name, 80)}</strong>{" "}
      <span class={why.length === 0 ? "would" : "would-not"}>{why.length === 0 ? t("run.would") : t("run.would_not", { why: why.join("; ") })}</span>
      <span class="sub">{facts.filter(Boolean).join(" · ")}</span>
    </li>
  );
}

function Asking(): JSX.Element {
  const { store } = useBuilder();
  const who = store.who.value;
  if (who?.kind === "none") return <p>{t("run.no_accounts")}</p>;
  const person = who?.kind === "here" && who.value.signed_in ? who.value : null;
  if (person === null) return <SignIn />;
  if (person.role !== "submitter" && person.role !== "admin") return <p>{t("run.cannot")}</p>;
  return <Consent name={person.name} />;
}

function SignIn(): JSX.Element {
  const { store, pages } = useBuilder();
  const keep = (): void => {
    try {
      sessionStorage.setItem(DRAFT, store.text.peek());
    } catch {
      // A browser that keeps nothing: the way back has it, in the address.
    }
  };
  return (
    <div class="sign-in">
      <p>{t("run.sign_in")}</p>
      <p class="actions">
        <a class="button" href={`${pages.account}?next=${encodeURIComponent(pages.here)}`} onClick={keep}>
          {t("run.sign_in_link")}
        </a>{" "}
        <span class="sub">{t("run.sign_in_text")}</span>
      </p>
    </div>
  );
}

function Consent({ name }: { name: string | null }): JSX.Element {
  const { store, pages } = useBuilder();
  const [agreed, onlyMissing, again] = [useSignal(false), useSignal(false), useSignal(false)];
  const [said, sending] = [useSignal(""), useSignal(false)];
  const plan = store.plan.value;
  const someThere = plan !== null && plan.measured > 0 && plan.missing > 0;
  const send = async (): Promise<void> => {
    if (sending.value) return;
    if (store.data.value === null || store.problems.value.length > 0) said.value = t("run.fix_first");
    else if (!agreed.value) said.value = t("run.consent_needed");
    else {
      sending.value = true;
      said.value = t("run.queueing");
      const answer = await store.queue({ again: again.value, onlyMissing: someThere && onlyMissing.value });
      sending.value = false;
      if (answer.kind === "here" && answer.value.id === null) {
        again.value = true;
        said.value = t("run.all_there");
      } else if (answer.kind === "here" && answer.value.id !== null) {
        said.value = t("run.queued");
        if (answer.value.token !== null) keepToken(answer.value.id, answer.value.token);
        location.assign(pages.live(answer.value.id));
      } else said.value = refusal(answer, store);
    }
  };
  return (
    <div class="asking">
      {name !== null && <p class="sub">{t("run.signed_in", { name: plain(name, 80) })}</p>}
      <label class="check">
        <input type="checkbox" required checked={agreed.value} onChange={(e) => (agreed.value = e.currentTarget.checked)} aria-describedby="queue-said" />
        <span>{t("run.consent")}</span>
      </label>
      {someThere && (
        <label class="check">
          <input type="checkbox" checked={onlyMissing.value} onChange={(e) => (onlyMissing.value = e.currentTarget.checked)} />
          <span>{t("run.only_missing")}</span>
        </label>
      )}
      <p class="actions">
        <button type="button" aria-disabled={sending.value} onClick={() => void send()}>
          {again.value ? t("run.queue_again") : t("run.queue")}
        </button>
      </p>
      <p id="queue-said" role="status">
        {said.value}
      </p>
    </div>
  );
}

/** In words; what is wrong in the file stands at its lines, too. */
function refusal(answer: Answer<unknown>, store: Store): string {
  switch (answer.kind) {
    case "refused": {
      const { detail, errors } = answer.value;
      store.wrong.value = errors;
      if (errors.length === 0) void store.people();
      return t("run.refused", { why: plain([detail, ...errors.slice(0, 3).map((e) => e.message)].join("; "), 400) });
    }
    case "offline":
      return t("run.unreachable");
    case "often":
      return t("run.refused", { why: t("file.often") });
    case "failed":
      return t("run.refused", { why: plain(answer.why, 200) });
    default:
      return t("run.no_accounts");
  }
}

/** By which this one campaign can be cancelled; for as long as the tab is open. */
function keepToken(id: string, token: string): void {
  try {
    sessionStorage.setItem(`lem.owner.${id}`, token);
  } catch {
    // Whoever is signed in can cancel it all the same.
  }
}
