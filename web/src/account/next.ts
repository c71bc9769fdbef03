/** Where to go on after signing in: a page of this server, or nowhere. */

/** The path of `?next=`, with its query and place; null where it leads, or could be taken to lead, anywhere
 * else. */
export function ownPath(search: string, origin: string): string | null {
  const asked = new URLSearchParams(search).get("next");
  // Browsers take a backslash for a slash and leave out tabs and ends of lines: "/\t/evil.example" is another host.
  if (asked === null || !/^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(asked)) return null;
  try {
    const found = new URL(asked, origin);
    const path = found.pathname + found.search + found.hash;
    return found.origin === origin && !path.startsWith("//") ? path : null;
  } catch {
    return null;
  }
}
