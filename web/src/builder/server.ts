/** Asks this server, and nobody else. */
import type { Answer, Plan, Refusal, Runner, Who } from "./answers";
import { isRecord, text } from "./reading";

export interface Wish {
  /** Also where all of it is in the archive. */
  readonly again: boolean;
  /** Without what is in the archive, but what the others are compared with. */
  readonly onlyMissing: boolean;
}
export interface Queued {
  readonly id: string | null;
  readonly token: string | null;
}

const PATIENCE_MS = 30_000;

export class Server {
  /** `api`: as `/api/v1/`. */
  constructor(private readonly api: string) {}

  plan(yaml: string, signal: AbortSignal): Promise<Answer<Plan>> {
    return this.ask<Plan>("campaigns/plan", { method: "POST", headers: { "Content-Type": "application/yaml" }, body: yaml, signal });
  }

  who(): Promise<Answer<Who>> {
    return this.ask<Who>("session", {});
  }

  async runners(): Promise<Answer<Runner[]>> {
    const answer = await this.ask<unknown>("runners", {});
    return answer.kind === "here" ? { kind: "here", value: runnersOf(answer.value) } : answer;
  }

  /** Its id, and the token that may cancel it. Without an id nothing was queued: all of it is in the archive. */
  async queue(yaml: string, wish: Wish): Promise<Answer<Queued>> {
    const answer = await this.ask<unknown>("campaigns", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Lem-Page": "1" },
      body: JSON.stringify({ campaign: yaml, archive: true, again: wish.again, only_missing: wish.onlyMissing }),
    });
    if (answer.kind !== "here") return answer;
    const told = isRecord(answer.value) ? answer.value : {};
    if (told.state === "measured") return { kind: "here", value: { id: null, token: null } };
    const id = text(told.id);
    if (!/^q[0-9a-f]{20}$/.test(id)) return { kind: "failed", why: "no id" };
    return { kind: "here", value: { id, token: text(told.owner_token) || null } };
  }

  private async ask<T>(path: string, init: RequestInit): Promise<Answer<T>> {
    try {
      const patience = AbortSignal.timeout(PATIENCE_MS);
      const signal = init.signal ? AbortSignal.any([init.signal, patience]) : patience;
      const answer = await fetch(this.api + path, { ...init, signal, credentials: "same-origin" });
      if (answer.ok) return { kind: "here", value: (await answer.json()) as T };
      if (answer.status === 404 || answer.status === 405) return { kind: "none" };
      if (answer.status === 429) return { kind: "often", seconds: Number(answer.headers.get("Retry-After")) || 5 };
      const told: unknown = await answer.json().catch(() => null);
      const refusal = refusalOf(told, answer.status);
      return answer.status >= 500 ? { kind: "failed", why: refusal.detail } : { kind: "refused", value: refusal };
    } catch (error) {
      if (init.signal?.aborted) throw error;
      return { kind: "offline" };
    }
  }
}

function refusalOf(told: unknown, status: number): Refusal {
  const problem = isRecord(told) ? told : {};
  const errors = Array.isArray(problem.errors) ? problem.errors.filter(isRecord) : [];
  const hint = text(problem.hint);
  return {
    detail: (text(problem.detail) || String(status)) + (hint && ` (${hint})`),
    errors: errors.map((e) => ({ where: text(e.where), message: text(e.message), line: typeof e.line === "number" ? e.line : null })),
  };
}

export function runnersOf(told: unknown): Runner[] {
  const rows: unknown = isRecord(told) ? (told.rows ?? told.runners) : told;
  if (!Array.isArray(rows)) return [];
  return rows.filter(isRecord).filter((one) => one.online !== false && one.disabled !== true).map((one) => {
    const hardware = isRecord(one.hardware) ? one.hardware : {};
    const accepts = isRecord(one.accepts) ? one.accepts : {};
    const devices = Array.isArray(hardware.devices) ? hardware.devices.filter(isRecord) : [];
    return {
      name: text(one.name),
      cpu: text(hardware.cpu),
      cores: Number(hardware.cores) || 0,
      devices: devices.map((d) => ({ model: text(d.model), count: Number(d.count) || 1 })),
      meters: words(hardware.meters),
      models: words(accepts.models),
      backends: words(accepts.backends),
      maxHours: typeof accepts.max_hours === "number" ? accepts.max_hours : null,
      hours: text(accepts.hours),
      doing: text(one.doing),
    };
  });
}

function words(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((v): v is string => typeof v === "string") : [];
}
