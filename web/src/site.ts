/** What every page loads. */
import "./style/site.css";
import { accountName } from "./page/account";
import { basketLinks } from "./page/basket";
import { copyButtons } from "./page/copying";
import { mountIslands } from "./page/islands";
import { tools } from "./page/tools";

tools();
accountName();
basketLinks();
copyButtons();
mountIslands();
