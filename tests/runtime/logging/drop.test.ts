// A log whose reader sleeps: what is lost is counted where it would have stood.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually, root, type Line } from "../../support/cluster.ts";

// Writes numbered lines until its standard input ends: first more than a reader who sleeps can take, then one every 5 ms.
const chatterbox = `
import { createPino } from ${JSON.stringify(join(root, "packages/runtime/dist/logging/pino.js"))};
import { openLogWriter } from ${JSON.stringify(join(root, "packages/runtime/dist/logging/writer.js"))};
const writer = openLogWriter({ jsonl: true, now: Date.now, maxQueuedBytes: 100_000 });
let total = 0;
const log = createPino(writer, Date.now)("test", 0);
const write = () => log.info({ number: total++, fill: "x".repeat(100) }, "line");
for (let index = 0; index < 5_000; index += 1) write();
process.stdout.write("full");
const timer = setInterval(write, 5);
process.stdin.on("end", () => {
  clearInterval(timer);
  writer.flush(5_000).then(() => process.stdout.write(" " + total));
}).resume();
`;

test("lines that a slow reader leaves no room for are counted, and the count stands in their place", async () => {
  const child = spawn(join(root, "node_modules/.bin/node"), ["--input-type=module", "-e", chatterbox], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  using _child = { [Symbol.dispose]: () => void child.kill() };
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const closed = new Promise((resolve) => child.on("close", resolve));
  await eventually("more lines than fit", () => said === "full");
  let text = "";
  child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await eventually(
    "a line after the notice",
    () => text.slice(text.indexOf('"log lines dropped"')).includes('"message":"line"') && text.includes("dropped_"),
  );
  child.stdin.end();
  await closed;
  const total = Number(said.split(" ")[1]);
  const lines = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
  let next = 0;
  for (const line of lines) {
    if (line["message"] === "line") {
      expect(line["number"]).toBe(next);
      next += 1;
    } else {
      expect(line).toMatchObject({ level: "WARN", target: "dyn_runtime::logging", message: "log lines dropped" });
      next += Number(line["dropped_lines"]);
    }
  }
  expect(next).toBe(total);
  expect(lines.length).toBeLessThan(total);
});
