// The catalogue's texts that scripts say, as the JSON that they are built with: [js] of each file, and
// sections of site.toml that scripts share with the pages.
//
//   node scripts/strings.mjs        lem/web/catalogue/site.toml → web/src/strings.json (on every page),
//                                   lem/web/catalogue/live.toml → web/src/live/strings.json, …
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { parse } from "smol-toml";

const SHARED = ["metrics", "dimensions", "class", "tier", "figure", "explore"];
const FOLDER = "../../lem/web/catalogue/";
const here = (path) => new URL(path, import.meta.url);

function flat(table, prefix = "") {
  return Object.entries(table).flatMap(([key, value]) =>
    typeof value === "object" ? flat(value, `${prefix}${key}.`) : [[prefix + key, String(value)]],
  );
}

for (const name of readdirSync(here(FOLDER)).map((file) => file.replace(/\.toml$/, ""))) {
  const { js = {}, ...catalogue } = parse(readFileSync(here(`${FOLDER}${name}.toml`), "utf8"));
  const shared = name === "site" ? SHARED : [];
  const texts = [...flat(js), ...shared.flatMap((section) => flat(catalogue[section], `${section}.`))];
  const found = Object.fromEntries(texts.sort(([a], [b]) => (a < b ? -1 : 1)));
  if (Object.keys(found).length < texts.length) throw new Error("a key of [js] is one of the pages' too");
  const target = name === "site" ? "../src/strings.json" : `../src/${name}/strings.json`;
  mkdirSync(here(target.replace(/[^/]*$/, "")), { recursive: true });
  writeFileSync(here(target), `${JSON.stringify(found, null, 1)}\n`);
}
