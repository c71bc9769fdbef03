import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Places } from "./places";
import type { Store } from "./store";

/** Addresses of other pages. */
export interface Pages {
  readonly account: string;
  readonly queue: string;
  /** Of a queued campaign, by its id. */
  readonly live: (id: string) => string;
  /** Of a configuration, by its id. */
  readonly configuration: (id: string) => string;
  readonly glossary: string;
  readonly everyday: string;
  readonly here: string;
}
export interface Here {
  readonly store: Store;
  readonly places: Places;
  readonly pages: Pages;
}

const Context = createContext<Here | null>(null);
export const Provider = Context.Provider;

export function useBuilder(): Here {
  const here = useContext(Context);
  if (!here) throw new Error("outside of the builder");
  return here;
}
