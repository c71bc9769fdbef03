/** Asks the server's API as a page of its own: with the session's cookie, which no script can read, and with
 * the header that shows whose page asks. */

interface Problem {
  readonly reason?: string;
  readonly detail?: string;
  readonly errors?: readonly { readonly message: string }[];
}

/** The server says no. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
    detail: string,
    /** Seconds after which to ask again, where it says so. */
    readonly after: number | null,
  ) {
    super(detail);
  }
}

export class Api {
  /** `address`: as `/api/v1/`. */
  constructor(private readonly address: string) {}

  get<T>(path: string): Promise<T> {
    return this.ask<T>("GET", path);
  }

  post<T>(path: string, body?: unknown): Promise<T> {
    return this.ask<T>("POST", path, body);
  }

  delete<T>(path: string): Promise<T> {
    return this.ask<T>("DELETE", path);
  }

  /** Every page of a list. */
  async all<T>(path: string): Promise<T[]> {
    const found: T[] = [];
    let after: string | null = "";
    while (after !== null) {
      const page: { rows: T[]; next?: string | null } = await this.get(`${path}?limit=500${after && `&after=${encodeURIComponent(after)}`}`);
      found.push(...page.rows);
      after = page.next ?? null;
    }
    return found;
  }

  private async ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const headers: Record<string, string> = { "Lem-Page": "1", Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const answer = await fetch(this.address + path, {
      method,
      headers,
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (answer.ok) return (await answer.json()) as T;
    const problem = (await answer.json().catch(() => ({}))) as Problem;
    const said = problem.errors?.map((e) => e.message).join("; ");
    const after = Number(answer.headers.get("Retry-After"));
    throw new Refusal(answer.status, problem.reason ?? "", said || problem.detail || String(answer.status), after || null);
  }
}
