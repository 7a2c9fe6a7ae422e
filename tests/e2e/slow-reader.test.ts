// One of 100 streams is read at 1 KB/s: its engine is held, the others are not, and memory does not pay for it.
import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRuntime } from "@dyn/runtime";
import { serveModel } from "@dyn/runtime/llm";
import { expect, test } from "vitest";
import { chat, eventually, lineOf, postChat, startProgram } from "../support/cluster.ts";
import { residentMib } from "../support/memory.ts";

const words = Array.from({ length: 200 }, (_, index) => ` word${index}`);
const piece = "x".repeat(1_000);
const mebibyte = 1024 * 1024;

interface SlowReader extends Disposable {
  /** Bytes so far. */
  read(): number;
}

function readSlowly(url: string): SlowReader {
  const { hostname, port } = new URL(url);
  const socket: Socket = connect(Number(port), hostname);
  const body = JSON.stringify(chat("endless", { stream: true }));
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  socket.pause();
  let bytes = 0;
  const timer = setInterval(() => (bytes += (socket.read(102) as Buffer | null)?.length ?? 0), 100);
  return {
    read: () => bytes,
    [Symbol.dispose]() {
      clearInterval(timer);
      socket.destroy();
    },
  };
}

// Text of a chat stream.
function textOf(events: string): string {
  const chunks = events.split("\n\n").filter((event) => event.startsWith("data: {"));
  return chunks
    .map(
      (event) =>
        (JSON.parse(event.slice(6)) as { choices: { delta: { content?: string } }[] }).choices[0]?.delta.content ?? "",
    )
    .join("");
}

test("a reader of 1 KB/s holds its own engine and nobody else's", async () => {
  const fileKv = await mkdtemp(join(tmpdir(), "dyn-slow-"));
  {
    await using frontend = startProgram("dyn-frontend", ["--http-port", "0"], { DYN_FILE_KV: fileKv });
    await using runtime = await createRuntime({ config: { fileKv, log: "off" } });
    let produced = 0;
    let ended = false;
    await serveModel(runtime, { model: "mock" }, async function* ({ messages }, { signal }) {
      if (messages[0]?.text !== "endless") return yield* words.map((text) => ({ text }));
      try {
        for (; !signal.aborted; produced += piece.length) yield { text: piece };
      } finally {
        ended = true;
      }
    });
    const url = String((await lineOf(frontend, "frontend is listening"))["url"]);
    await eventually("the model", async () => (await postChat(url, chat("hi"))).status === 200);
    const round = async (): Promise<void> => {
      const answers = await Promise.all(
        Array.from({ length: 99 }, async () => (await postChat(url, chat("hi", { stream: true }))).text()),
      );
      expect(new Set(answers.map(textOf))).toEqual(new Set([words.join("")]));
    };
    await round();
    {
      using slow = readSlowly(url);
      await round();
      await eventually("its answer", () => slow.read() > 0);
      let [last, looks] = [0, 0];
      await eventually("its engine being held", () => {
        looks = produced === last ? looks + 1 : 0;
        last = produced;
        return looks === 200; // a pause of the machine is shorter
      });
      // What the sockets' buffers and a window of the plane take, and no more.
      expect(produced).toBeLessThan(24 * mebibyte);
      const before = residentMib(frontend.pid);
      for (let count = 0; count < 5; count += 1) await round();
      expect(ended).toBe(false);
      expect(produced - last).toBeLessThan(4 * mebibyte); // a buffer that is read a little may be filled again
      if (before !== undefined) expect((residentMib(frontend.pid) ?? 0) - before).toBeLessThan(64);
    }
    await eventually("the engine's end", () => ended);
  }
  await rm(fileKv, { recursive: true });
});
