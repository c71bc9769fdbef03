/** Pieces of the account's and the admins' pages. */
import type { ComponentChildren, JSX, TargetedInputEvent } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { minute, said } from "./said";
import { t } from "./text";

/** A heading that takes the focus when what it heads takes the place of something else. */
export function Heading({ children, focused = false }: { children: ComponentChildren; focused?: boolean }): JSX.Element {
  const element = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (focused) element.current?.focus();
  }, [focused]);
  return (
    <h2 ref={element} tabIndex={focused ? -1 : undefined}>
      {children}
    </h2>
  );
}

/** Says what was done, and what went wrong at once. */
export function Notice({ done, wrong }: { done?: string; wrong?: string }): JSX.Element {
  return (
    <>
      <div role="status">{done && <p class="notice good">{done}</p>}</div>
      <div role="alert">{wrong && <p class="problem">{wrong}</p>}</div>
    </>
  );
}

interface Typing {
  readonly label: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly hint?: string;
  readonly wrong?: boolean;
  /** What is typed is not shown, and is for a password manager. */
  readonly secret?: boolean;
  readonly autocomplete?: string;
  readonly required?: boolean;
}

export function Field({ label, value, onInput, hint, wrong = false, secret = false, autocomplete = "off", required = true }: Typing): JSX.Element {
  const id = useId();
  const about = {
    id,
    value,
    required,
    maxLength: secret ? 4096 : 200,
    autoComplete: autocomplete,
    autoCapitalize: "off",
    spellcheck: false,
    "aria-invalid": wrong || undefined,
    "aria-describedby": hint ? `${id}-hint` : undefined,
    onInput: (e: TargetedInputEvent<HTMLInputElement>) => onInput(e.currentTarget.value),
  } as const;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {secret ? <input type="password" {...about} /> : <input type="text" {...about} />}
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

export function Choice<V extends string>({ label, value, options, onChange }: { label: string; value: V; options: readonly (readonly [V, string])[]; onChange: (value: V) => void }): JSX.Element {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(e) => onChange(e.currentTarget.value as V)}>
        {options.map(([key, text]) => (
          <option key={key} value={key}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

interface Sending {
  readonly label: string;
  readonly button: string;
  readonly send: () => Promise<void>;
  readonly children: ComponentChildren;
}

/** A form that a script sends. Left alone it would be a POST, so that nothing of it could come into an address. */
export function Form({ label, button, send, children }: Sending): JSX.Element {
  const [busy, setBusy] = useState(false);
  const submit = async (e: Event): Promise<void> => {
    e.preventDefault();
    if (busy) return;
    setBusy(true);
    try {
      await send();
    } finally {
      setBusy(false);
    }
  };
  return (
    <form class="filters" method="post" aria-label={label} aria-busy={busy} onSubmit={(e) => void submit(e)}>
      {children}
      <p class="actions">
        <button disabled={busy}>{button}</button>
      </p>
    </form>
  );
}

/** What is shown once, with a button that copies it. */
export function Secret({ label, value }: { label: string; value: string }): JSX.Element {
  const id = useId();
  return (
    <p class="secret" role="group" aria-labelledby={id}>
      <span class="label" id={id}>
        {label}
      </span>
      <code>{value}</code>
      <button type="button" class="quiet copy">
        {t("account.made.copy")}
      </button>
    </p>
  );
}

interface Tabled {
  readonly label: string;
  readonly columns: readonly string[];
  readonly rows: readonly { readonly key: string; readonly cells: readonly ComponentChildren[]; readonly off?: boolean }[];
}

/** On a narrow screen each row is a block, in which roles keep it a table. */
export function Table({ label, columns, rows }: Tabled): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      <table role="table">
        <thead role="rowgroup">
          <tr role="row">
            {columns.map((column) => (
              <th scope="col" role="columnheader" key={column}>
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map(({ key, cells, off }) => (
            <tr key={key} role="row" class={off ? "is-off" : undefined}>
              {cells.map((cell, i) =>
                i === 0 ? (
                  <th scope="row" role="rowheader">
                    {cell}
                  </th>
                ) : (
                  <td role="cell" data-label={columns[i]}>
                    {cell}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A date, or a date with a time in UTC, in one piece. */
export function Moment({ of }: { of: string }): JSX.Element {
  return <time dateTime={of}>{of.length > 10 ? minute(of) : of}</time>;
}

interface Asked {
  readonly button: string;
  readonly title: string;
  readonly text: string;
  readonly act: () => Promise<void>;
  readonly cancel?: string;
}

/** A button that asks before it acts, and says what follows from it. */
export function Confirmed({ button, title, text, act, cancel }: Asked): JSX.Element {
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const go = async (): Promise<void> => {
    setBusy(true);
    try {
      await act();
      dialog.current?.close();
    } catch (error) {
      setWrong(said(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <button
        type="button"
        class="quiet"
        onClick={() => {
          setWrong("");
          dialog.current?.showModal();
        }}
      >
        {button}
      </button>
      <dialog ref={dialog} aria-labelledby={`${id}-title`} aria-describedby={`${id}-text`}>
        <h2 id={`${id}-title`}>{title}</h2>
        <p id={`${id}-text`}>{text}</p>
        <Notice wrong={wrong} />
        <p class="actions">
          <button type="button" disabled={busy} onClick={() => void go()}>
            {button}
          </button>
          <button type="button" class="quiet" onClick={() => dialog.current?.close()}>
            {cancel ?? t("account.cancel")}
          </button>
        </p>
      </dialog>
    </>
  );
}
