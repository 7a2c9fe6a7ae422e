// A request gives the same tree from the frontend's memory as from the log lines of all processes, but for what only one of them knows.
import { createFrontend, type Frontend } from "@dyn/frontend";
import { createEchoEngine } from "@dyn/mock-worker";
import { createMemorySpace, createRuntime, type Runtime } from "@dyn/runtime";
import { serveModel, type WorkerRole } from "@dyn/runtime/llm";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { AttemptNode, RequestNode, RequestTree } from "../../packages/lineage/src/tree.ts";
import { createFaultPlan, parseFaults, type FaultPlan } from "../../packages/mock-worker/dist/faults/faults.js";
import { parseLogFilter } from "../../packages/runtime/src/logging/filter.ts";
import { formatJsonLine } from "../../packages/runtime/src/logging/format.ts";
import { createLogger } from "../../packages/runtime/src/logging/logger.ts";
import { createPino } from "../../packages/runtime/src/logging/pino.ts";
import { traceBytes } from "../lineage/recordings.ts";
import { eventually } from "../support/cluster.ts";
import { getRequest } from "./traced.ts";

interface House extends AsyncDisposable {
  readonly frontend: Frontend;
  /** Of each worker. */
  readonly plans: readonly FaultPlan[];
  /** What all of them have written since it was emptied, at DEBUG. */
  readonly log: () => Buffer;
  readonly emptyLog: () => void;
}

const workers: readonly (readonly [model: string, mode: "agg" | "prefill" | "decode", role: WorkerRole])[] = [
  ["mock", "agg", "aggregated"],
  ["mock", "agg", "aggregated"],
  ["split", "prefill", "prefill"],
  ["split", "prefill", "prefill"],
  ["split", "decode", "decode"],
  ["split", "decode", "decode"],
];

// A frontend and its workers in this process: all of them write into one log.
async function startHouse(): Promise<House> {
  const lines: string[] = [];
  const open = createPino({ write: (line) => void lines.push(formatJsonLine(line)) }, Date.now);
  const log = createLogger({ open, filter: parseLogFilter("debug") }).pino;
  const options = { config: { discoveryBackend: "mem", log: "debug" }, memorySpace: createMemorySpace(), log } as const;
  const runtimes: Runtime[] = [];
  const plans: FaultPlan[] = [];
  for (const [model, disaggregationMode, role] of workers) {
    const runtime = await createRuntime(options);
    const plan = createFaultPlan([], 0);
    const pace = { ttftMs: 0, itlMs: 1, speedupRatio: 1, seed: 0, disaggregationMode };
    await serveModel(
      runtime,
      { model, role, endpoint: `dyn://n.${model}-${disaggregationMode}.generate`, migrationLimit: 3 },
      createEchoEngine(pace, { plan, crash: () => undefined }),
    );
    runtimes.push(runtime);
    plans.push(plan);
  }
  const caller = await createRuntime(options);
  const frontend = await createFrontend({ runtime: caller, httpPort: 0 });
  const joined = (): boolean => lines.filter((line) => line.includes('"instance joined"')).length >= workers.length;
  await eventually("all workers", joined);
  return {
    frontend,
    plans,
    log: () => Buffer.from(lines.join("")),
    emptyLog: () => void (lines.length = 0),
    async [Symbol.asyncDispose]() {
      for (const each of [frontend, ...runtimes, caller]) await each[Symbol.asyncDispose]();
    },
  };
}

interface Asked {
  readonly path: "/v1/chat/completions" | "/v1/completions" | "/v1/messages";
  readonly body: object;
  readonly headers: Readonly<Record<string, string>>;
  /** Of the workers, each in turn. */
  readonly faults: readonly string[];
  /** Its client leaves with the first bytes of a stream. */
  readonly leaves: boolean;
}

const asked: fc.Arbitrary<Asked> = fc.record({
  path: fc.constantFrom("/v1/chat/completions", "/v1/completions", "/v1/messages"),
  body: fc.record(
    {
      model: fc.constantFrom("mock", "mock", "split", "split", "nobody"),
      messages: fc.constant([{ role: "user", content: "one two three four five six" }]),
      prompt: fc.constantFrom("one two three", ["a b", "c"]),
      max_tokens: fc.constantFrom(4, 100),
      stream: fc.boolean(),
      n: fc.constantFrom(1, 2, -1),
      stop: fc.constantFrom("three", ["o f", "x"]),
    },
    { requiredKeys: ["model", "messages", "prompt", "max_tokens"] },
  ),
  headers: fc.record(
    {
      traceparent: fc.constant("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
      "x-worker-instance-id": fc.constantFrom("", "7", "none"),
      "x-request-timeout-ms": fc.constantFrom("60000", "soon"),
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<Record<string, string>>,
  faults: fc.array(
    fc.constantFrom("", "", "error:unavailable", "error:overloaded@1", "error:internal@2", "cut@1", "cut", "garbage@3"),
    { minLength: workers.length, maxLength: workers.length },
  ),
  leaves: fc.boolean(),
});

async function ask(
  { frontend, plans }: House,
  { path, body, headers, faults, leaves }: Asked,
  id: string,
): Promise<void> {
  for (const [index, plan] of plans.entries()) plan.replace(parseFaults(faults[index] ?? ""));
  const response = await fetch(`${frontend.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers, "x-request-id": id },
    body: JSON.stringify(body),
  });
  if (leaves) await response.body?.cancel();
  else await response.text();
}

/** What only the logs know of a request: its other lines. */
const ofLogs = ["latency_ms", "bytes", "finished_at", "outcome"];
/** Times of lines are a little later than what they tell of. */
const times = ["received_at", "responded_at", "ended_at", "started_at"];

function without(node: object, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(node).filter(([name]) => !names.includes(name)));
}

// Memory tells why an attempt was cancelled, the log does not; the log tells how it was chosen.
function toComparable(attempt: AttemptNode): Record<string, unknown> {
  const other = attempt.outcome === "cancelled" ? ["error", "error_type"] : [];
  return without(attempt, [...times, ...other, "router_mode", "workers"]);
}

function expectSame(memory: RequestTree, logs: RequestTree): void {
  const head = ({ request_id, x_request_id, trace_id, state, strays, problems }: RequestTree): object => ({
    request_id,
    x_request_id,
    trace_id,
    state,
    strays,
    problems: problems.filter(({ kind }) => kind !== "note"), // of clocks, which may be set while the test runs
  });
  expect(head(memory)).toEqual(head(logs));
  const request = ({ request }: RequestTree): object => without(request as RequestNode, [...ofLogs, ...times]);
  expect(request(memory)).toEqual(request(logs));
  expect(memory.attempts.map(toComparable)).toEqual(logs.attempts.map(toComparable));
  // A worker that was lost, or told to stop, has said nothing to the frontend.
  for (const [index, { workers }] of memory.attempts.entries())
    if (workers.length > 0) expect(logs.attempts[index]?.workers).toMatchObject(workers);
}

test("whatever is asked for, whatever the workers do, and whenever the client leaves", async () => {
  await using house = await startHouse();
  let count = 0;
  await fc.assert(
    fc.asyncProperty(asked, async (each) => {
      const id = `request-${(count += 1)}`;
      house.emptyLog();
      await ask(house, each, id);
      const logs = await eventually(`the last line of ${id}`, async () => {
        const { trees, isWhole } = await traceBytes(id, house.log()).catch(() => ({ trees: [], isWhole: false }));
        return isWhole && trees[0];
      });
      const { body } = await getRequest(house.frontend.url, id);
      expectSame(body as unknown as RequestTree, logs);
    }),
    { numRuns: 100 },
  );
});
