// Requests under way: what becomes of answers that nobody reads.
import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { createUnderWay } from "../../../packages/runtime/src/http/under-way.ts";
import { eventually } from "../../support/cluster.ts";

test.each([
  ["whole", 1],
  ["in parts", 50],
])("an answer that is given %s and never read ends with its connection", async (_name, parts) => {
  const underWay = createUnderWay({ limit: 1, sendTimeoutMs: 100 });
  let isFreed = false;
  const memory = { [Symbol.dispose]: () => void (isFreed = true) };
  const signals: AbortSignal[] = [];
  const server = createServer((_request, response) => {
    signals.push(underWay.begin("a", response, memory).signal);
    for (let part = 0; part < parts; part += 1) response.write(Buffer.alloc(50_000_000 / parts));
    response.end();
  }).listen(0, "127.0.0.1");
  server.timeout = 100;
  await once(server, "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.on("error", () => undefined); // the server resets it
  socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await eventually("the request", () => signals[0]);
  const countConnections = (): Promise<number> =>
    new Promise((resolve) => server.getConnections((_error, count) => resolve(count)));
  await eventually("its end", async () => (await countConnections()) === 0);
  expect(signals[0]?.reason).toMatchObject({
    code: "cancelled",
    message: "the client has read nothing of its answer for 100 ms",
  });
  await eventually("its being forgotten", () => !underWay.has("a") && underWay.count === 0);
  expect(isFreed).toBe(true);
  socket.destroy();
  server.close();
});
