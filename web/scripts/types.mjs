// The API's types from the server's OpenAPI description.
//
//   node scripts/types.mjs OPENAPI.json             write src/api/types.ts
//   node scripts/types.mjs OPENAPI.json --check     exit 1 where it is not what the server says
import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

const [description, check] = process.argv.slice(2);
const file = new URL("../src/api/types.ts", import.meta.url);
const { paths: _, ...parts } = JSON.parse(readFileSync(description, "utf8"));
// What questions and answers are made of: addresses are written where they are asked.
const nodes = await openapiTS({ ...parts, paths: {} }, { alphabetize: true });
const text = `// Made by scripts/web.sh types from the server's OpenAPI description.\n\n${astToString(nodes)}`;
if (check === "--check") {
  if (readFileSync(file, "utf8") !== text) {
    console.error("web/src/api/types.ts is not what the server says; fix: scripts/web.sh types");
    process.exit(1);
  }
} else {
  writeFileSync(file, text);
}
