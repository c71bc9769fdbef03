/** With a token that somebody has. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { type Api, Refusal } from "./api";
import { Field, Form, Heading, Notice } from "./parts";
import { said } from "./said";
import type { Who } from "./session";
import { t } from "./text";

export function SignIn({ api, onDone, next, focused }: { api: Api; onDone: (who: Who) => void; next: string | null; focused: boolean }): JSX.Element {
  const [token, setToken] = useState("");
  const [wrong, setWrong] = useState("");
  const send = async (): Promise<void> => {
    setWrong("");
    try {
      onDone(await api.post<Who>("session", { token: token.trim() }));
    } catch (error) {
      setWrong(why(error));
    }
  };
  return (
    <section class="part">
      <Heading focused={focused}>{t("account.sign_in.heading")}</Heading>
      <Form label={t("account.sign_in.heading")} button={t("account.sign_in.button")} send={send}>
        <Field
          label={t("account.sign_in.token")}
          hint={t("account.sign_in.hint")}
          value={token}
          onInput={setToken}
          wrong={wrong !== ""}
          autocomplete="current-password"
          secret
        />
      </Form>
      <Notice wrong={wrong} />
      {next !== null && <p class="sub">{t("account.sign_in.next", { page: next })}</p>}
    </section>
  );
}

function why(error: unknown): string {
  if (error instanceof Refusal && (error.status === 401 || error.status === 422)) return t("account.sign_in.wrong");
  if (error instanceof Refusal && error.reason === "no_session") return t("account.sign_in.not_here");
  return said(error);
}
