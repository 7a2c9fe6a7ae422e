// A process that waits for its listener to close must not run out of things to do: Node would end it with 13, in the middle of a shutdown.
import { connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { listen } from "../../../packages/runtime/src/net/listener.ts";
import { preface } from "../../../packages/runtime/src/wire/frames.ts";
import { createLogger } from "../../support/logger.ts";
import { eventually } from "../../support/cluster.ts";

const countTimers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;

test("closing a listener holds the process until its last connection has ended, also one that holds nothing itself", async () => {
  const accepted: Socket[] = [];
  const listener = await listen({
    host: "127.0.0.1",
    port: 0,
    prefaceTimeoutMs: 60_000,
    maxConnections: 2,
    log: createLogger({ sink: () => undefined }),
    onConnection(socket, _head, admit) {
      admit();
      accepted.push(socket.unref());
    },
  });
  const client = connect(listener.port, "127.0.0.1");
  client.write(preface);
  await eventually("the connection", () => accepted.length === 1);
  const before = countTimers();
  const closed = listener[Symbol.asyncDispose]();
  expect(countTimers()).toBe(before + 1);
  accepted[0]?.destroy();
  await closed;
  expect(countTimers()).toBe(before);
  client.destroy();
});
