// Clients that leave: every request of theirs that is under way hears of it, and nothing of it is kept.
import { expect, test } from "vitest";
import { createMemoryBudget } from "../../../packages/runtime/src/memory-budget.ts";
import { createRuntimeMetrics } from "../../../packages/runtime/src/metrics/runtime-metrics.ts";
import { eventually } from "../../support/cluster.ts";
import { dial } from "../../support/http-client.ts";
import { atOnce, open, route } from "./open-host.ts";

const ask = "GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n";

test.each([
  ["leaves", (): void => undefined],
  ["leaves at its first answer", (release: () => void): void => release()],
])(
  "all requests of a client that sends several at once and %s are told so, and nothing of them is kept",
  async (_name, first) => {
    const signals: AbortSignal[] = [];
    const memory = createMemoryBudget(1_000_000, createRuntimeMetrics().memory);
    let release: (() => void) | undefined;
    const endless = route("/endless", async ({ exchange: { signal, memory: share, response } }) => {
      share.take(1_000);
      signals.push(signal);
      await new Promise<void>((resolve) => {
        release ??= resolve;
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
      response.end("over");
    });
    const { host } = await open([endless], { memory });
    using client = dial(host.port);
    client.socket.write(ask.repeat(12));
    await eventually("the first", () => signals.length === 8);
    first(() => release?.());
    client.socket.resetAndDestroy();
    await eventually("all hearing of it", () => signals.filter(({ aborted }) => aborted).length >= 7);
    await eventually("nothing being kept", () => memory.usedBytes === 0);
    const counts: { running: number; cut: number }[] = [];
    await host.close({ ...atOnce, report: { count: (each) => counts.push(each), facts: () => undefined } });
    expect(counts[0]).toEqual({ running: 0, cut: 0 });
  },
);
