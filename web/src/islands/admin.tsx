/** For whoever runs the server. Until an admin is signed in, nothing is asked for. */
import { render } from "preact";
import { Admin } from "../account/Admin";
import { Api } from "../account/api";
import { whoIs } from "../account/session";
import "../style/account.css";

export default async function mount(element: HTMLElement): Promise<void> {
  const { api = "", accountPage = "", join = "", live = "" } = element.dataset;
  const own = new Api(api);
  const who = await whoIs(own);
  element.replaceChildren();
  render(<Admin api={own} pages={{ account: accountPage, join, live }} who={who} />, element);
}
