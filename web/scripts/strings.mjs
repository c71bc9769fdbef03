// The catalogue's section [js] as the JSON that the islands are built with.
//
//   node scripts/strings.mjs        lem/web/strings.toml → web/src/strings.json
import { readFileSync, writeFileSync } from "node:fs";
import { parse } from "smol-toml";

const here = (path) => new URL(path, import.meta.url);
const { js } = parse(readFileSync(here("../../lem/web/strings.toml"), "utf8"));
if (!js) throw new Error("lem/web/strings.toml has no section [js]");

function flat(table, prefix = "") {
  return Object.entries(table).flatMap(([key, value]) =>
    typeof value === "object" ? flat(value, `${prefix}${key}.`) : [[prefix + key, value]],
  );
}
const found = Object.fromEntries(flat(js).sort(([a], [b]) => (a < b ? -1 : 1)));
for (const [key, value] of Object.entries(found)) {
  if (typeof value !== "string") throw new Error(`js.${key} is no text`);
}
writeFileSync(here("../src/strings.json"), `${JSON.stringify(found, null, 1)}\n`);
