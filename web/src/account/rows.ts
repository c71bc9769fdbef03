/** Rows that a part of the admins' page shows, and what is done to them. */
import { useEffect, useState } from "preact/hooks";
import type { Api } from "./api";
import { isEnded, said } from "./said";

export interface Pages {
  readonly account: string;
  readonly join: string;
  readonly live: string;
}

/** What each part of the page is given. `ended`: called where nobody is signed in any more. */
export interface Part {
  readonly api: Api;
  readonly pages: Pages;
  readonly ended: () => void;
}

export interface Rows<T> {
  readonly rows: readonly T[] | null;
  readonly done: string;
  readonly wrong: string;
  /** Does something, says that it was done, and looks again. What goes wrong is the caller's to show. */
  readonly act: (what: () => Promise<unknown>, words: string) => Promise<void>;
  readonly again: () => Promise<void>;
}

/** Rows of a list, and what was done to them last. */
export function useRows<T>(load: () => Promise<T[]>, ended: () => void): Rows<T> {
  const [rows, setRows] = useState<readonly T[] | null>(null);
  const [done, setDone] = useState("");
  const [wrong, setWrong] = useState("");
  const again = async (): Promise<void> => {
    try {
      setRows(await load());
      setWrong("");
    } catch (error) {
      if (isEnded(error)) ended();
      else setWrong(said(error));
    }
  };
  useEffect(() => void again(), []);
  const act = async (what: () => Promise<unknown>, words: string): Promise<void> => {
    setDone("");
    try {
      await what();
    } catch (error) {
      if (isEnded(error)) ended();
      throw error;
    }
    setDone(words);
    await again();
  };
  return { rows, done, wrong, act, again };
}
