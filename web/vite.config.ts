import { defineConfig } from "vitest/config";

/** Assets are found by the manifest, never by their name, and find each other by relative addresses:
 * so that they can lie anywhere, on a server or below any folder of a static site. */
export default defineConfig({
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../lem/web/assets",
    emptyOutDir: true,
    assetsDir: "",
    manifest: "manifest.json",
    modulePreload: false,
    cssCodeSplit: true,
    target: "es2022",
    // Fonts and images stay files: pages allow no data: addresses for them.
    assetsInlineLimit: 0,
    rollupOptions: {
      input: ["src/site.ts", "src/early.ts", "src/report.ts"],
    },
  },
  test: {
    include: ["tests/**/*.test.ts", "tests/**/*.test.tsx"],
    environment: "node",
  },
});
