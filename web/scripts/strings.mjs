// The catalogue's texts that scripts say, as the JSON that they are built with: [js], and sections that
// they share with the pages.
//
//   node scripts/strings.mjs        lem/web/strings.toml → web/src/strings.json
import { readFileSync, writeFileSync } from "node:fs";
import { parse } from "smol-toml";

const SHARED = ["metrics", "dimensions", "class", "tier", "figure", "explore"];
const here = (path) => new URL(path, import.meta.url);
const { js, ...catalogue } = parse(readFileSync(here("../../lem/web/strings.toml"), "utf8"));

function flat(table, prefix = "") {
  return Object.entries(table).flatMap(([key, value]) =>
    typeof value === "object" ? flat(value, `${prefix}${key}.`) : [[prefix + key, String(value)]],
  );
}
const texts = [...flat(js), ...SHARED.flatMap((name) => flat(catalogue[name], `${name}.`))];
const found = Object.fromEntries(texts.sort(([a], [b]) => (a < b ? -1 : 1)));
if (Object.keys(found).length < texts.length) throw new Error("a key of [js] is one of the pages' too");

writeFileSync(here("../src/strings.json"), `${JSON.stringify(found, null, 1)}\n`);
