/** The button that goes through the colours of the system, light and dark. */
import { store, stored } from "../stored";
import { t } from "../text";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];
const KEY = "lem.theme";

export function chosenTheme(): Theme {
  const found = stored(KEY);
  return found === "light" || found === "dark" ? found : "system";
}

export function nextTheme(theme: Theme): Theme {
  return THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system";
}

function use(theme: Theme): void {
  store(KEY, theme === "system" ? null : theme);
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export function themeToggle(button: HTMLElement): void {
  const show = (): void => {
    const theme = chosenTheme();
    const text = t(`theme.${theme}`);
    button.dataset.theme = theme;
    button.title = text;
    button.setAttribute("aria-label", text);
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    use(nextTheme(chosenTheme()));
    show();
  });
  show();
}
