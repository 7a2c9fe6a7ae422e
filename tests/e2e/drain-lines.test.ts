// A frontend that drains writes the last line of every request, also of those whose clients leave meanwhile.
import { createFrontend } from "@dyn/frontend";
import { startMockWorker } from "@dyn/mock-worker";
import { createMemorySpace, createRuntime } from "@dyn/runtime";
import { expect, test } from "vitest";
import { parseLogFilter } from "../../packages/runtime/src/logging/filter.ts";
import { createLogger } from "../support/logger.ts";
import { chat, postChat } from "../support/cluster.ts";

const clients = 20;

test("clients that leave while the frontend drains are completed as cancelled before it is closed", async () => {
  const records: Record<string, unknown>[] = [];
  const config = { discoveryBackend: "mem", log: "off" } as const;
  const memorySpace = createMemorySpace();
  await using _worker = await startMockWorker({ config, memorySpace, itlMs: 20 });
  const log = createLogger({ sink: (record) => records.push(record), filter: parseLogFilter("debug") });
  const runtime = await createRuntime({ config, memorySpace, log: log.pino });
  const frontend = await createFrontend({ runtime, httpPort: 0 }); // its runtime stays open
  const aborters = Array.from({ length: clients }, () => new AbortController());
  const responses = await Promise.all(
    aborters.map(({ signal }) => postChat(frontend.url, chat("word ".repeat(500), { stream: true }), {}, signal)),
  );
  for (const { body } of responses) await body?.getReader().read();
  const closed = frontend[Symbol.asyncDispose]();
  for (const aborter of aborters) aborter.abort();
  await closed;
  const lines = records.filter(
    ({ message, span_name: span }) => message === "request completed" && span === "http-request",
  );
  expect(lines.map(({ status }) => status)).toEqual(Array.from({ length: clients }, () => "cancelled"));
  const attempts = records.filter(({ span_name: span }) => span === "router.route_request");
  expect(attempts.map(({ message }) => message)).toEqual(
    Array.from({ length: clients }, () => "route request cancelled"),
  );
  await runtime[Symbol.asyncDispose]();
});
