/** Loaded by a plain script element in the head, before anything is drawn: a page whose reader chose
 * a theme must not flash in the other one. No module: it imports and exports nothing. */
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  try {
    const theme = localStorage.getItem("lem.theme");
    // What the address of an embedded chart asks for stays.
    if ((theme === "light" || theme === "dark") && !root.dataset.theme) root.dataset.theme = theme;
  } catch {
    // A browser that keeps nothing follows the system.
  }
})();
