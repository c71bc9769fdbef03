/** What the page says of the campaign that it shows. */
import type { StateName } from "./events";

export interface Other {
  readonly id: string;
  readonly name: string;
}
export interface About {
  readonly id: string;
  /** Its server goes with the campaign's end: nothing can be asked of it then. */
  readonly alone: boolean;
  /** Null where nothing comes any more. */
  readonly events: string | null;
  readonly recording: string | null;
  /** Where its state is told, or null. */
  readonly queue: string | null;
  /** Where to ask that it end, or null. */
  readonly cancel: string | null;
  /** Whether whoever is signed in may. */
  readonly mine: boolean;
  readonly state: StateName;
  readonly position: number | null;
  /** Finished campaigns whose runs may stand beside this one's. */
  readonly others: readonly Other[];
  /** Where another campaign's recording is: `ID` stands for its id. */
  readonly other_recording: string | null;
}

/** An error in words. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
