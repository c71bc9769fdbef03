/** Pieces that all parts of the form are made of. */
import type { ComponentChildren, JSX } from "preact";
import { plain } from "../words";
import { useBuilder } from "./context";
import type { Field } from "./fields";
import { idOf } from "./places";
import { t } from "./text";

/** A part of the form with its problems. `help`: what it is about, in plain words. */
export function Section(props: { field: Field; title: string; help: string; children: ComponentChildren }): JSX.Element {
  const id = idOf(props.field);
  const has = useBuilder().store.of(props.field).length > 0;
  return (
    <fieldset id={id} tabIndex={-1} {...described(has, props.field)}>
      <legend>{props.title}</legend>
      <p class="help" id={`${id}-help`}>
        {props.help}
      </p>
      {props.children}
      <ProblemsOf field={props.field} />
    </fieldset>
  );
}

/** What is wrong there, each with its line. */
export function ProblemsOf({ field }: { field: Field }): JSX.Element | null {
  const { store } = useBuilder();
  const found = store.of(field);
  if (found.length === 0) return null;
  return (
    <ul class="wrong" id={problemsId(field)}>
      {found.map((one, i) => (
        <li key={i}>
          <span class="visually-hidden">{t("problem")} </span>
          {plain(one.message, 600)}
          {one.line !== null && (
            <>
              {" "}
              <ToLine line={one.line} />
            </>
          )}
        </li>
      ))}
    </ul>
  );
}

export function ToLine({ line }: { line: number }): JSX.Element {
  const { places } = useBuilder();
  return (
    <button type="button" class="link" onClick={() => places.line(line)}>
      {t("at_line", { line })}
    </button>
  );
}

/** Of a group: its help, and what is wrong in it. */
export function described(has: boolean, field: Field): { "aria-describedby": string } {
  return { "aria-describedby": has ? `${idOf(field)}-help ${problemsId(field)}` : `${idOf(field)}-help` };
}

export function problemsId(field: Field): string {
  return `${idOf(field)}-problems`;
}

/** `aria-*` of an input in a field: what is wrong is said with it. */
export function aboutProblems(has: boolean, field: Field, help?: string): { "aria-describedby"?: string; "aria-invalid"?: "true" } {
  const described = [help, has ? problemsId(field) : undefined].filter(Boolean).join(" ");
  return { ...(described ? { "aria-describedby": described } : {}), ...(has ? { "aria-invalid": "true" as const } : {}) };
}

/** Kinds to choose one of, each with a sentence. */
export function Cards(props: {
  name: string;
  legend: string;
  value: string | null;
  options: readonly { readonly value: string; readonly title: string; readonly text: string }[];
  onChange: (value: string) => void;
}): JSX.Element {
  return (
    <div class="cards" role="radiogroup" aria-label={props.legend}>
      {props.options.map((o) => (
        <label key={o.value} class={`pick${props.value === o.value ? " is-chosen" : ""}`}>
          <input type="radio" name={props.name} value={o.value} checked={props.value === o.value} onChange={() => props.onChange(o.value)} />
          <span class="title">{o.title}</span>
          <span class="text">{o.text}</span>
        </label>
      ))}
    </div>
  );
}

/** A number that is taken once it is one, within its bounds. */
export function NumberField(props: {
  label: string;
  value: number | null;
  min: number;
  max: number;
  step?: number | "any";
  onChange: (value: number) => void;
}): JSX.Element {
  const take = (input: HTMLInputElement): void => {
    const value = input.valueAsNumber;
    if (Number.isFinite(value) && value >= props.min && value <= props.max) props.onChange(value);
  };
  return (
    <label class="field">
      {props.label}
      <input
        type="number"
        inputMode="decimal"
        value={props.value ?? ""}
        min={props.min}
        max={props.max}
        step={props.step ?? 1}
        onInput={(e) => take(e.currentTarget)}
        onBlur={(e) => {
          // What was not taken does not stay as if it had been.
          if (e.currentTarget.value !== String(props.value ?? "")) e.currentTarget.value = String(props.value ?? "");
        }}
      />
    </label>
  );
}
