// Sends a picture to the thumbnail service, and writes what it gets: thumbnail.ts large.png small.png
import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createRuntime } from "@dyn/runtime";

const [, , from = "", to = ""] = process.argv;

async function* upload(): AsyncGenerator<object | Uint8Array> {
  yield { longestSide: 64 };
  yield* createReadStream(from) as AsyncIterable<Uint8Array>; // read as fast as the service takes it
}

await using runtime = await createRuntime({ environment: process.env });
const thumbnails = runtime.client<object, { width: number; height: number; png: Uint8Array }>(
  "dyn://demo.thumbnails.make",
);
await thumbnails.waitForInstances({ signal: AbortSignal.timeout(5_000) });
const { width, height, png } = await thumbnails.call(upload(), { timeoutMs: 60_000 });
await writeFile(to, png);
console.log(`${to}: ${width} x ${height}, ${png.length} bytes`);
