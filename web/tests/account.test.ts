import { afterEach, expect, test, vi } from "vitest";
import { Api, Refusal } from "../src/account/api";
import { secretOf } from "../src/account/Join";
import { ownPath } from "../src/account/next";
import { day, isEnded, minute, said } from "../src/account/said";

const ORIGIN = "https://lem.example.org";
const next = (to: string): string | null => ownPath(`?next=${encodeURIComponent(to)}`, ORIGIN);

afterEach(() => vi.unstubAllGlobals());

test("after signing in one goes on to pages of this server", () => {
  expect(next("/build")).toBe("/build");
  expect(next("/build?from=abc&x=1#models")).toBe("/build?from=abc&x=1#models");
  expect(next("/live/q0123456789abcdef0123")).toBe("/live/q0123456789abcdef0123");
  expect(next("/a/../admin")).toBe("/admin");
});

test.each([
  "https://evil.example/",
  "//evil.example",
  "///evil.example",
  "/\\evil.example",
  "\\\\evil.example",
  "/\t/evil.example",
  "/\n/evil.example",
  "\t//evil.example",
  " //evil.example",
  "/a\\..\\..\\evil",
  "javascript:alert(1)",
  "data:text/html,x",
  "build",
  "",
  "@evil.example",
  ".evil.example",
  "/.//evil.example",
  "/a/..//evil.example",
])("and nowhere else: %j", (to) => {
  expect(next(to)).toBeNull();
});

test("without ?next= one stays", () => {
  expect(ownPath("", ORIGIN)).toBeNull();
  expect(ownPath("?other=/build", ORIGIN)).toBeNull();
});

test("an invitation is a link or what stands behind its #", () => {
  expect(secretOf("https://lem.example.org/join#s3cret")).toBe("s3cret");
  expect(secretOf("#s3cret")).toBe("s3cret");
  expect(secretOf("  s3cret ")).toBe("s3cret");
  expect(secretOf("")).toBe("");
});

test("what changes something says whose page asks, and no secret is in an address", async () => {
  const asked: [string, RequestInit][] = [];
  vi.stubGlobal("fetch", async (address: string, how: RequestInit) => {
    asked.push([address, how]);
    return new Response(JSON.stringify({ signed_in: true }), { status: 201 });
  });
  await new Api("/api/v1/").post("session", { token: "s3cret" });
  const [[address, how]] = asked as [[string, RequestInit]];
  expect(address).toBe("/api/v1/session");
  expect(how).toMatchObject({ method: "POST", credentials: "same-origin", cache: "no-store", redirect: "error" });
  expect(how.headers).toMatchObject({ "Lem-Page": "1", "Content-Type": "application/json" });
  expect(how.body).toBe('{"token":"s3cret"}');
});

test("a list is read to its end", async () => {
  const pages = [
    { rows: [1, 2], next: "b" },
    { rows: [3], next: null },
  ];
  const addresses: string[] = [];
  vi.stubGlobal("fetch", async (address: string) => {
    addresses.push(address);
    return new Response(JSON.stringify(pages.shift()));
  });
  expect(await new Api("/").all("admin/people")).toEqual([1, 2, 3]);
  expect(addresses).toEqual(["/admin/people?limit=500", "/admin/people?limit=500&after=b"]);
});

test("what the server refuses is told in words, as text", async () => {
  const answer = { reason: "bad_name", detail: "a \u202ename" };
  vi.stubGlobal("fetch", async () => new Response(JSON.stringify(answer), { status: 422, headers: { "Retry-After": "90" } }));
  const error: unknown = await new Api("/").get("x").catch((e: unknown) => e);
  expect(error).toBeInstanceOf(Refusal);
  expect((error as Refusal).after).toBe(90);
  expect(said(error)).toBe("a \\u202ename");
  expect(isEnded(error)).toBe(false);
  expect(isEnded(new Refusal(401, "token_needed", "", null))).toBe(true);
  expect(said(new Refusal(429, "too_many_requests", "", 90))).toContain("2 minutes");
  expect(said(new TypeError("Failed to fetch"))).toContain("Failed to fetch");
});

test("moments are told in UTC", () => {
  expect(day("2026-05-04T12:10:00.000+00:00")).toBe("2026-05-04");
  expect(minute("2026-05-04T12:10:00.000+00:00")).toBe("2026-05-04 12:10 UTC");
});
