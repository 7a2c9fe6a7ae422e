// The way to the collector: flushed at the end of the process, and harmless when nobody is there.
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { chat, lineOf, postChat, startCluster } from "../../support/cluster.ts";
import { startReceiver } from "./receiver.ts";
import { protocols, terminate } from "./span-tree.ts";

test.each(protocols)("SIGTERM flushes what is queued over %s", async (protocol) => {
  await using receiver = await startReceiver();
  await using cluster = await startCluster({
    env: { ...receiver.env(protocol), OTEL_BSP_SCHEDULE_DELAY: "600000", OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "8" },
  });
  // 6 requests: less than a batch at the worker and the frontend is not; some leave early, none may be missing.
  for (let index = 0; index < 6; index += 1) await (await postChat(cluster.url, chat("x"))).text();
  await terminate(cluster.frontend, ...cluster.workers);
  expect(receiver.spans()).toHaveLength(24);
});

interface Collector extends AsyncDisposable {
  readonly url: string;
}

/** Takes connections and never answers; `refuse`: takes none. */
async function startDeadCollector(kind: "refuses" | "is silent"): Promise<Collector> {
  const server = createServer((socket) => socket.on("error", () => undefined));
  const sockets = new Set<{ destroy(): void }>();
  server.on("connection", (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  if (kind === "refuses") await close();
  return { url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: close };
}

test.each(protocols.flatMap((protocol) => [[protocol, "refuses"] as const, [protocol, "is silent"] as const]))(
  "a %s collector that %s harms neither requests nor the end of the process",
  async (protocol, kind) => {
    await using collector = await startDeadCollector(kind);
    const env = {
      OTEL_EXPORT_ENABLED: "true",
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_TIMEOUT: "1000",
      OTEL_BSP_SCHEDULE_DELAY: "10",
      OTEL_BSP_MAX_QUEUE_SIZE: "10",
    };
    await using cluster = await startCluster({ env });
    for (let index = 0; index < 20; index += 1) expect((await postChat(cluster.url, chat("x"))).status).toBe(200);
    const programs = [cluster.frontend, ...cluster.workers];
    for (const program of programs) program.kill("SIGTERM");
    for (const program of programs) {
      expect(await program.exited).toBe(0);
      expect(await lineOf(program, "spans lost in all")).toMatchObject({
        level: "WARN",
        target: "dyn_runtime::telemetry",
        lost_spans: 40,
      });
      expect(program.lines().filter(({ message }) => message === "spans lost").length).toBeLessThanOrEqual(1);
    }
  },
);
