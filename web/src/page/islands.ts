/** `<div data-island="explorer">`: what is there is read and worked with as it came, until the island's
 * own script has loaded and takes over. */
export interface Island {
  default: (element: HTMLElement) => void | Promise<void>;
}

const ISLANDS: Readonly<Record<string, () => Promise<Island>>> = {
  account: () => import("../islands/account"),
  admin: () => import("../islands/admin"),
  builder: () => import("../islands/builder"),
  compare: () => import("../islands/compare"),
  explorer: () => import("../islands/explorer"),
  live: () => import("../islands/live"),
  queue: () => import("../islands/queue"),
  trace: () => import("../islands/trace"),
};
/** What a page is about is mounted at once; charts further down when they come near. */
const AT_ONCE = new Set(["account", "admin", "builder", "compare", "explorer", "live", "queue"]);

export function mountIslands(root: ParentNode = document): void {
  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        near.unobserve(entry.target);
        void mount(entry.target as HTMLElement);
      }
    },
    { rootMargin: "400px" },
  );
  for (const element of root.querySelectorAll<HTMLElement>("[data-island]")) {
    if (AT_ONCE.has(element.dataset.island ?? "")) void mount(element);
    else near.observe(element);
  }
}

async function mount(element: HTMLElement): Promise<void> {
  const load = ISLANDS[element.dataset.island ?? ""];
  if (!load) return;
  try {
    const island = await load();
    await island.default(element);
    element.dataset.mounted = "";
  } catch (error) {
    // The page stays as the server made it, which is whole.
    console.error(error);
  }
}

/** The JSON in an island's `<script type="application/json">`, or null. */
export function dataOf(element: Element): unknown {
  const script = element.querySelector('script[type="application/json"]');
  return script ? JSON.parse(script.textContent ?? "null") : null;
}
