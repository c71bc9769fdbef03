/** A draft in the part of the address that no server sees: `#v1.` and its text, deflated, in base64url.
 *
 * A link may come from anybody, so reading one takes bounded work and gives text, which is not
 * believed to be anything. */
const PREFIX = "v1.";
/** Of a campaign file, as the server takes it. */
export const MOST_BYTES = 256 * 1024;
/** Of the address: what a draft of that size comes to at the very most, deflated. */
const MOST_DIGITS = 400_000;

/** Why an address holds no draft. */
export type NoDraft = "unknown" | "broken" | "too_large";
export type Draft = { readonly text: string } | { readonly none: NoDraft };

/** Without `#`. */
export async function encoded(text: string): Promise<string> {
  const bytes = await through(new TextEncoder().encode(text), new CompressionStream("deflate-raw"), Infinity);
  return PREFIX + base64url(bytes ?? new Uint8Array());
}

/** `fragment`: as `location.hash`; null where it holds nothing at all. */
export async function decoded(fragment: string): Promise<Draft | null> {
  const found = fragment.replace(/^#/, "");
  if (found === "") return null;
  if (!found.startsWith(PREFIX)) return { none: "unknown" };
  if (found.length > MOST_DIGITS) return { none: "too_large" };
  const deflated = bytesOf(found.slice(PREFIX.length));
  if (deflated === null) return { none: "broken" };
  try {
    const bytes = await through(deflated, new DecompressionStream("deflate-raw"), MOST_BYTES);
    if (bytes === null) return { none: "too_large" };
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return isText(text) ? { text } : { none: "broken" };
  } catch {
    return { none: "broken" };
  }
}

/** Whether it has none of the characters that a campaign file may not have. */
export function isText(text: string): boolean {
  return !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufffe\uffff]/.test(text);
}

/** What comes out at the other end; null as soon as that is more than `most`: the rest is not made. */
async function through(
  bytes: Uint8Array,
  stream: { readonly readable: ReadableStream<Uint8Array>; readonly writable: WritableStream<BufferSource> },
  most: number,
): Promise<Uint8Array | null> {
  const writer = stream.writable.getWriter();
  // What is wrong with it is told where it is read.
  writer.write(bytes as BufferSource).catch(() => undefined);
  writer.close().catch(() => undefined);
  const reader = stream.readable.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > most) {
      await reader.cancel().catch(() => undefined);
      return null;
    }
    parts.push(value);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function base64url(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function bytesOf(digits: string): Uint8Array | null {
  if (!/^[A-Za-z0-9_-]*$/.test(digits)) return null;
  try {
    const text = atob(digits.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(text, (c) => c.charCodeAt(0));
  } catch {
    return null;
  }
}
