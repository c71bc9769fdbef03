// What a page loads of JavaScript and CSS, compressed; exit 1 where that is beyond its budget.
//
//   node scripts/size.mjs           after npm run build
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const ASSETS = new URL("../../lem/web/assets/", import.meta.url);
const KB = 1000;
const LARGE = ["builder", "explorer", "live"];
const BUDGET = { large: 120 * KB, other: 60 * KB, css: 20 * KB };
const manifest = JSON.parse(readFileSync(new URL("manifest.json", ASSETS), "utf8"));
const gzipped = (file) => gzipSync(readFileSync(new URL(file, ASSETS))).length;

/** The files of an entry, and of what it imports at once. */
function files(key, found = { js: new Set(), css: new Set() }) {
  const entry = manifest[key];
  if (found.js.has(entry.file)) return found;
  if (entry.file.endsWith(".js")) found.js.add(entry.file);
  for (const css of entry.css ?? []) found.css.add(css);
  for (const other of entry.imports ?? []) files(other, found);
  return found;
}
const total = (set) => [...set].reduce((sum, file) => sum + gzipped(file), 0);

let failed = false;
function line(name, bytes, budget) {
  const over = bytes > budget;
  failed ||= over;
  const kb = (n) => (n / KB).toFixed(1).padStart(6);
  console.log(`${over ? "TOO LARGE" : "ok       "} ${name.padEnd(28)} ${kb(bytes)} of ${kb(budget)} kB`);
}
const always = [...files("src/early.ts").js, ...files("src/site.ts").js];
line("every page", total(new Set(always)), BUDGET.other);
line("styles", total(files("src/site.ts").css), BUDGET.css);
for (const key of Object.keys(manifest).filter((k) => manifest[k].isDynamicEntry).sort()) {
  const name = key.replace(/^src\/islands\//, "").replace(/\.tsx?$/, "");
  const all = new Set([...always, ...files(key).js]);
  if (!key.startsWith("src/islands/")) continue;
  // A static site's explorer loads more: what answers from a file.
  if (name === "explorer") for (const more of manifest[key].dynamicImports ?? []) for (const file of files(more).js) all.add(file);
  line(`every page + ${name}`, total(all), LARGE.includes(name) ? BUDGET.large : BUDGET.other);
}
process.exit(failed ? 1 : 0);
