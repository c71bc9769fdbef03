/** The name of whoever is signed in, in the head of the pages of what runs here: these are kept by no cache.
 * Every other page is the same for everybody, and asks nothing. */
export function accountName(): void {
  const api = document.querySelector<HTMLElement>("a[data-account][data-api]")?.dataset.api;
  if (api) void import("../account/session").then(({ whoIs }) => whoIs(api));
}
