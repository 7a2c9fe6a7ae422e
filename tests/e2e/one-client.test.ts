// One client hurts nobody else: what it can make a process keep, and for how long it can make others wait. The heap is small, so that what is kept whole ends the process soon.
import { expect, test } from "vitest";
import { eventually, startCluster, type Program } from "../cluster.ts";
import { dial } from "../http-client.ts";

const small = { NODE_OPTIONS: "--max-old-space-size=64", DYN_SYSTEM_PORT: "0" };

/** The exit code or signal; undefined while it runs. */
function endOf({ child }: Program): number | string | null {
  return child.exitCode ?? child.signalCode;
}

test("refused requests are not kept whole: many long names of models", async () => {
  await using cluster = await startCluster({ workers: 0, env: small });
  const body = JSON.stringify({ model: "x".repeat(4 * 1024 * 1024) });
  for (let index = 0; index < 16; index += 1) {
    const answer = await fetch(`${cluster.url}/v1/chat/completions`, { method: "POST", headers: { "content-type": "application/json" }, body });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({
      error: { message: `model must have at most 256 characters, not ${4 * 1024 * 1024}`, param: "model", code: "string_above_max_length" },
    });
  }
  expect(endOf(cluster.frontend)).toBeNull();
});

test.each(["a frontend", "the system server of a worker"])("many requests that are sent at once, and no answer read: %s", async (whose) => {
  await using cluster = await startCluster({ env: small });
  const [worker] = cluster.workers;
  const system = worker?.lines().find(({ message }) => message === "system server is listening");
  const port = Number(whose === "a frontend" ? new URL(cluster.url).port : system?.["port"]);
  const flood = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1_560); // 64 KiB
  const greedy = Array.from({ length: 12 }, () => dial(port));
  for (const { socket } of greedy) socket.pause().write(flood);
  await eventually("all being sent", () => greedy.every(({ socket }) => socket.writableLength === 0));
  using other = dial(port);
  other.socket.write("GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await eventually("an answer beside them", () => other.statuses().length === 1 || other.isClosed());
  expect(other.statuses()).toEqual([200]);
  greedy[0]?.socket.resume();
  await eventually("all answers of one that reads them after all", () => greedy[0]?.statuses().length === 1_560 || greedy[0]?.isClosed());
  expect(greedy[0]?.statuses().filter((status) => status === 200)).toHaveLength(1_560);
  for (const client of greedy) client[Symbol.dispose]();
  expect([endOf(cluster.frontend), worker && endOf(worker)]).toEqual([null, null]);
});
