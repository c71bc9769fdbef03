import { deflateRawSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { decoded, encoded, MOST_BYTES } from "../../src/builder/codec";

const put = (bytes: Uint8Array): string => `#v1.${Buffer.from(bytes).toString("base64url")}`;
const packed = (text: string | Uint8Array): string => put(deflateRawSync(text));

describe("a draft in the address", () => {
  it("comes back as it was", async () => {
    for (const text of ["", "version: 1\n", "name: ä 日本 🙂 \u2028\ttab\r\n", "x: y\n".repeat(20_000)]) {
      const fragment = await encoded(text);
      expect(fragment).toMatch(/^v1\.[A-Za-z0-9_-]*$/);
      expect(await decoded(`#${fragment}`)).toEqual({ text });
    }
  });

  it("is none where there is nothing", async () => {
    expect(await decoded("")).toBe(null);
    expect(await decoded("#")).toBe(null);
  });

  it("is of a version that is known", async () => {
    expect(await decoded("#v2.abc")).toEqual({ none: "unknown" });
    expect(await decoded("#content")).toEqual({ none: "unknown" });
  });

  it("is refused where it is damaged", async () => {
    for (const fragment of ["#v1.", "#v1.!!!", "#v1.a b", "#v1.AAAA", `${packed("hello").slice(0, -4)}`, packed(new Uint8Array([0xff, 0xfe])), packed("a\u0000b"), packed("\u001b[31m"), put(new Uint8Array([1, 2, 3, 4]))])
      expect(await decoded(fragment), fragment).toEqual({ none: "broken" });
  });

  it("is refused where it is large, without being unpacked to its end", async () => {
    expect(await decoded(`#v1.${"A".repeat(500_000)}`)).toEqual({ none: "too_large" });
    // A hundred million characters in a hundred thousand.
    const bomb = packed(Buffer.alloc(100_000_000, "a"));
    expect(bomb.length).toBeLessThan(400_000);
    const start = performance.now();
    expect(await decoded(bomb)).toEqual({ none: "too_large" });
    expect(performance.now() - start).toBeLessThan(1000);
    expect(await decoded(packed("a".repeat(MOST_BYTES)))).toEqual({ text: "a".repeat(MOST_BYTES) });
    expect(await decoded(packed("a".repeat(MOST_BYTES + 1)))).toEqual({ none: "too_large" });
  });
});
