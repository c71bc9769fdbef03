/** What went wrong, for people. */
import { plain } from "../words";
import { Refusal } from "./api";
import { t } from "./text";

export function said(error: unknown): string {
  if (!(error instanceof Refusal)) return t("account.failed", { why: plain(String(error instanceof Error ? error.message : error), 200) });
  if (error.status === 429) return t("account.too_often", { minutes: Math.max(1, Math.ceil((error.after ?? 60) / 60)) });
  if (error.status === 401) return t("account.ended");
  return plain(error.message);
}

/** Whether the browser is not signed in any more. */
export function isEnded(error: unknown): boolean {
  return error instanceof Refusal && error.status === 401;
}

/** The date of an ISO 8601 moment. */
export function day(moment: string | null): string {
  return (moment ?? "").slice(0, 10);
}

/** Date and time to the minute, of a moment in UTC. */
export function minute(moment: string): string {
  return `${moment.slice(0, 16).replace("T", " ")} UTC`;
}
