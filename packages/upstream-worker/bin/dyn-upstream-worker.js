#!/usr/bin/env node
import { fileURLToPath } from "node:url";

// Readable for any Node.js: one that is too old must come as far as saying so.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(`dyn-upstream-worker: needs Node.js 22.19 or newer, this is ${process.versions.node}\n`);
  process.exit(1);
}
// What V8 has compiled is kept for the next start: beside the code, where nobody may write who could not write the code. Elsewhere Node.js goes on without.
process
  .getBuiltinModule("node:module")
  .enableCompileCache(fileURLToPath(new URL("../.compile-cache", import.meta.url)));
await import("../dist/cli.js");
