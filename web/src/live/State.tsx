/** The campaign's state in a line, how far it is, the connection, and the way to end it. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { plain } from "../words";
import { type About, wordsOf } from "./about";
import { isFinal } from "./events";
import { blocksOf, countOf, type Model } from "./model";
import type { Screen } from "./screen";
import { t } from "./text";
import { saidOf, stateName } from "./words";

const SAY_EVERY_MS = 6000;

export function StateLine({ screen, about, replayed }: { screen: Screen; about: About; replayed: boolean }): JSX.Element {
  const state = screen.state.value?.state ?? about.state;
  const message = screen.state.value?.message ?? "";
  const connection = screen.connection.value;
  return (
    <div class={`state-line is-${state}`}>
      <p class="state-now">
        <span class="dot" aria-hidden="true" /> <strong>{stateName(state, screen.position.value)}</strong>
        {message && <span class="state-message">{plain(message, 500)}</span>}
      </p>
      <Progress screen={screen} />
      <p class="actions">
        {!replayed && connection && <span class={`connection is-${connection}`}>{t(`connection.${connection}`)}</span>}
        {!replayed && !isFinal(state) && <Cancel about={about} />}
      </p>
      <Said screen={screen} />
    </div>
  );
}

function Progress({ screen }: { screen: Screen }): JSX.Element {
  const { done, excluded, failed } = countOf(screen.cells.value);
  const plan = screen.plan.value;
  const all = screen.arms.value.length * blocksOf({ plan, blocks: screen.blocks.value });
  if (all === 0) return <p class="sub">{t("progress_none")}</p>;
  const made = done + excluded;
  const counted = t(plan?.pilot ? "progress_open" : "progress", { done: made, all });
  const of = excluded > 0 ? t("progress_excluded", { progress: counted, excluded }) : counted;
  const said = failed > 0 ? t("progress_failed", { progress: of, failed }) : of;
  return (
    <div class="progress">
      <progress max={all} value={made} aria-label={said} />
      <p class="sub" title={plain(plan?.reason ?? "")}>
        {said}
      </p>
    </div>
  );
}

/** What changed, for those who hear the page: not more often than every few seconds. */
function Said({ screen }: { screen: Screen }): JSX.Element {
  const line = useRef<HTMLParagraphElement>(null);
  useEffect(() => {
    let said = "";
    const say = (): void => {
      const next = saidOf(screen.model.current as Model);
      if (next === said || !line.current) return;
      said = next;
      line.current.textContent = next;
    };
    const id = setInterval(say, SAY_EVERY_MS);
    return () => clearInterval(id);
  }, []);
  return <p class="visually-hidden" aria-live="polite" ref={line} />;
}

/** The token that whoever queued it was given, for this campaign alone. */
function ownerToken(id: string): string | null {
  try {
    return sessionStorage.getItem(`lem.owner.${id}`);
  } catch {
    return null;
  }
}

function Cancel({ about }: { about: About }): JSX.Element | null {
  const dialog = useRef<HTMLDialogElement>(null);
  const said = useSignal("");
  const sent = useSignal(false);
  const { cancel } = about;
  const token = ownerToken(about.id);
  if (!cancel || !(about.mine || token)) return null;
  const ask = async (): Promise<void> => {
    dialog.current?.close();
    sent.value = true;
    try {
      // By token or by cookie: a request with both is refused.
      const by: RequestInit = about.mine
        ? { headers: { "Lem-Page": "1" }, credentials: "same-origin" }
        : { headers: { Authorization: `Bearer ${token}` }, credentials: "omit" };
      const answer = await fetch(cancel, { method: "POST", ...by });
      if (!answer.ok) throw new Error(await reasonOf(answer));
      said.value = t("cancel.sent");
    } catch (error) {
      sent.value = false;
      said.value = t("cancel.failed", { why: wordsOf(error) });
    }
  };
  return (
    <>
      {!sent.value && (
        <button type="button" class="quiet" onClick={() => dialog.current?.showModal()}>
          {t("cancel.button")}
        </button>
      )}
      <span role="status">{said}</span>
      <dialog ref={dialog} aria-labelledby="cancel-heading">
        <h2 id="cancel-heading">{t("cancel.heading")}</h2>
        <p>{t("cancel.text")}</p>
        <p class="actions">
          <button type="button" class="quiet" autofocus onClick={() => dialog.current?.close()}>
            {t("cancel.no")}
          </button>
          <button type="button" onClick={ask}>
            {t("cancel.yes")}
          </button>
        </p>
      </dialog>
    </>
  );
}

/** Of a problem document its own words. */
async function reasonOf(answer: Response): Promise<string> {
  try {
    const { detail } = (await answer.json()) as { detail?: unknown };
    return typeof detail === "string" ? plain(detail, 300) : String(answer.status);
  } catch {
    return String(answer.status);
  }
}
