/** Signing in and joining: in place of what the server wrote for whoever has no scripts. */
import { render } from "preact";
import { Account } from "../account/Account";
import { Api } from "../account/api";
import { secretOf } from "../account/Join";
import { ownPath } from "../account/next";
import { whoIs } from "../account/session";
import "../style/account.css";

export default async function mount(element: HTMLElement): Promise<void> {
  const { api = "", view, enrolment, accountPage = "", join = "", admin = "", build = "", queue = "", live = "" } = element.dataset;
  const own = new Api(api);
  const secret = view === "join" ? taken() : "";
  // A link that is opened in the same tab changes nothing but what is behind the #.
  if (view === "join") addEventListener("hashchange", () => location.hash.length > 1 && location.reload());
  const who = await whoIs(own);
  element.replaceChildren();
  render(
    <Account
      api={own}
      view={view === "join" ? "join" : "account"}
      open={enrolment === "open"}
      pages={{ account: accountPage, join, admin, build, queue, live }}
      secret={secret}
      next={ownPath(location.search, location.origin)}
      who={who}
      go={(address) => location.assign(address)}
    />,
    element,
  );
}

/** The invitation's secret, which stays in no address: neither in the history nor where somebody could see or
 * copy it by accident. */
function taken(): string {
  const secret = secretOf(location.hash);
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  return secret;
}
