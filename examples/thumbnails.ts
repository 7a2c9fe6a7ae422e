// Makes thumbnails of pictures that are uploaded in pieces: first how large it may be, then the bytes of a PNG.
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { createRuntime, RuntimeError } from "@dyn/runtime";

type Upload = AsyncIterable<{ longestSide: number } | Uint8Array>;

interface Thumbnail {
  readonly width: number;
  readonly height: number;
  readonly png: Uint8Array;
}

const maxBytes = 256 * 1024 * 1024;

await using runtime = await createRuntime({ environment: process.env, shutdownSignals: ["SIGINT", "SIGTERM"] });
const serving = await runtime.endpoint("dyn://demo.thumbnails.make").serve(
  async (upload: Upload, context) => {
    const { longestSide, png } = await receive(upload);
    context.report({ upload_bytes: png.length });
    return shrinkInThread(png, longestSide, context.signal);
  },
  // A picture fills a core for a while. More of them at a time would only be slower, and fill the memory.
  { requestLimit: availableParallelism(), idempotent: true },
);
await serving.closed;

async function receive(upload: Upload): Promise<{ longestSide: number; png: Uint8Array }> {
  let longestSide = 128;
  let size = 0;
  const pieces: Uint8Array[] = [];
  for await (const piece of upload) {
    if (piece instanceof Uint8Array) {
      pieces.push(piece);
      size += piece.length;
      if (size > maxBytes) throw new RuntimeError("too_large", `the picture has over ${maxBytes} bytes`);
    } else ({ longestSide } = piece);
  }
  if (!Number.isInteger(longestSide) || longestSide < 1 || longestSide > 4_096)
    throw new RuntimeError("invalid_argument", "longestSide must be a whole number from 1 to 4096", {
      param: "longestSide",
    });
  return { longestSide, png: Buffer.concat(pieces) };
}

// In a thread: while one picture is made smaller, the event loop goes on to answer everybody else.
async function shrinkInThread(png: Uint8Array, longestSide: number, signal: AbortSignal): Promise<Thumbnail> {
  const thread = new Worker(new URL("thumbnail-thread.ts", import.meta.url), { workerData: { png, longestSide } });
  try {
    const [made] = (await once(thread, "message", { signal })) as [Thumbnail | { error: string }];
    if ("error" in made) throw new RuntimeError("invalid_argument", `this is no picture: ${made.error}`);
    return made;
  } finally {
    await thread.terminate();
  }
}
