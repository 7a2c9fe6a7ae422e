// A worker whose handler holds the event loop answers nothing and lives: it is waited for. One that is stopped does not live.
import { createRuntime, type Client } from "@dyn/runtime";
import { expect, test } from "vitest";
import { eventually, lineOf, root, startProgram, type Line, type Program } from "../support/cluster.ts";
import { openDirectory } from "../support/directory.ts";
import { createLogger } from "../support/logger.ts";
import { failureOf } from "../runtime/peers.ts";

interface Ask {
  readonly ms?: number;
  readonly waits?: boolean;
}

interface Deployment extends AsyncDisposable {
  readonly client: Client<Ask, number>;
  readonly workers: readonly Program[];
  /** What the caller has logged. */
  readonly lines: readonly Line[];
  instanceOf(worker: Program): Promise<string>;
}

async function deploy(count: number): Promise<Deployment> {
  const directory = await openDirectory("dyn-blocked-");
  const env = { DYN_FILE_KV: directory.path, DYN_DISCOVERY_BACKEND: "file" };
  const workers = Array.from({ length: count }, () =>
    startProgram("node", [`${root}/tests/support/blocking-worker.mjs`], env),
  );
  const lines: Line[] = [];
  const runtime = await createRuntime({
    config: { discoveryBackend: "file", fileKv: directory.path },
    log: createLogger({ sink: (record) => lines.push(record) }).pino,
  });
  const client = runtime.client<Ask, number>("dyn://test.block.generate");
  await client.waitForInstances({ count });
  return {
    client,
    workers,
    lines,
    instanceOf: async (worker) => String((await lineOf(worker, "endpoint is serving"))["instance_id"]),
    async [Symbol.asyncDispose]() {
      await runtime.close();
      for (const worker of workers) await worker[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

test("a handler that blocks its process for longer than a record lives is waited for, and others get the new requests", async () => {
  await using deployment = await deploy(2);
  const { client, lines } = deployment;
  const [blocked, other] = deployment.workers as [Program, Program];
  const instanceId = await deployment.instanceOf(blocked);
  const answer = client.call({ ms: 13_000 }, { instanceId });
  const stalled = "instance does not answer and lives, it gets no new requests";
  await eventually("the silence", () => lines.find(({ message }) => message === stalled));
  for (let call = 0; call < 4; call += 1) expect(await client.call({})).toBe(other.pid);
  expect(await answer).toBe(blocked.pid);
  await eventually("its return", () =>
    lines.find(({ message }) => message === "instance answers again after it was silent"),
  );
  const told = await lineOf(blocked, "event loop blocked");
  expect(told["request_id"]).toMatch(/^[0-9a-f-]{36}$/);
  await eventually("a request at it", async () => (await client.call({})) === blocked.pid);
  const messages = [...lines, ...blocked.lines()].map(({ message }) => message);
  for (const loss of [
    "instance left",
    "connection to instance lost",
    "discovery record was gone and has been published again",
  ])
    expect(messages).not.toContain(loss);
});

test("a process that is stopped is found after three pings, though its record is there still", async () => {
  await using deployment = await deploy(1);
  const [worker] = deployment.workers as [Program];
  const failure = failureOf(deployment.client.call({ waits: true }));
  await lineOf(worker, "request received");
  worker.kill("SIGSTOP");
  expect(await failure).toMatchObject({ code: "disconnected", message: expect.stringMatching(/ for 6000 ms$/) });
});
