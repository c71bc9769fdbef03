/** `<div data-tools data-compare="/compare">` in the head of every page: what only works with scripts. */
import { themeToggle } from "./theme";
import { t } from "../text";

const SVG = "http://www.w3.org/2000/svg";

export function tools(): void {
  for (const element of document.querySelectorAll<HTMLElement>("[data-tools]")) {
    const basket = document.createElement("a");
    basket.dataset.basket = "";
    basket.href = element.dataset.compare ?? "";
    basket.hidden = true;
    const n = document.createElement("strong");
    n.dataset.basketCount = "";
    basket.append(t("basket.name"), " ", n);
    const theme = document.createElement("button");
    theme.type = "button";
    theme.append(half());
    element.append(basket, theme);
    themeToggle(theme);
  }
}

/** A disc, half of it dark. */
function half(): SVGElement {
  const icon = document.createElementNS(SVG, "svg");
  icon.setAttribute("viewBox", "0 0 16 16");
  icon.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("fill", "currentColor");
  path.setAttribute("d", "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 1.6v10.8a5.4 5.4 0 0 1 0-10.8Z");
  icon.append(path);
  return icon;
}
