#!/usr/bin/env node
// Readable for any Node.js: one that is too old must come as far as saying so.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(`dyn-mock-worker: needs Node.js 22.19 or newer, this is ${process.versions.node}\n`);
  process.exit(1);
}
await import("../dist/cli.js");
