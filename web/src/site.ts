/** What every page loads. */
import "./style/site.css";
import { basketLinks } from "./page/basket";
import { copyButtons } from "./page/copying";
import { mountIslands } from "./page/islands";
import { themeToggle } from "./page/theme";

for (const button of document.querySelectorAll<HTMLElement>("[data-theme-toggle]")) themeToggle(button);
basketLinks();
copyButtons();
mountIslands();
