/** Answers as text, and nothing but text. */
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { plain } from "../words";
import { type Answer, shown } from "./answers";
import type { Screen } from "./screen";
import { t } from "./text";

export function Answers({ screen }: { screen: Screen }): JSX.Element {
  const answers = screen.answers.value.kept;
  return (
    <div class="answers">
      <h3>{t("answers.heading")}</h3>
      {answers.length === 0 && <p class="sub">{t("answers.none")}</p>}
      <ol class="answer-list">
        {answers.map((answer, place) => (
          <li key={place} class={answer.ended ? "" : "is-going"}>
            <p class="sub">
              {t("answers.one", { request: plain(answer.request, 60) })} · {t(answer.ended ? "answers.ended" : "answers.going")}
            </p>
            <Words answer={answer} />
          </li>
        ))}
      </ol>
      <p class="sub">{t("answers.note")}</p>
    </div>
  );
}

/** Keeps to its end while it grows, as long as nobody has scrolled back. */
export function Words({ answer }: { answer: Answer | undefined }): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const text = answer ? `${answer.cut ? "… " : ""}${shown(answer.text)}` : "";
  useLayoutEffect(() => {
    const element = box.current;
    if (element && follows.current && !answer?.ended) element.scrollTop = element.scrollHeight;
  }, [text]);
  const scrolled = (): void => {
    const element = box.current;
    if (element) follows.current = element.scrollHeight - element.scrollTop - element.clientHeight < 24;
  };
  return (
    <div class="answer" dir="auto" ref={box} onScroll={scrolled} tabIndex={0} role="group" aria-label={t("answers.one", { request: plain(answer?.request ?? "", 60) })}>
      {text}
    </div>
  );
}
