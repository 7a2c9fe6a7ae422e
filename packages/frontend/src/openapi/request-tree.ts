/** What `/v1/requests/{id}` shows: the tree of a request, for the document of the API. */
import { factNames } from "@dyn/lineage";
import * as z from "zod";

const meanings: Readonly<Record<string, string>> = {
  uri: "Path and query.",
  model_requested: "The name that was asked for, where no such model was known.",
  request_type: "`unary` or `stream`.",
  error: "What went wrong: as the client was told, and to operators as the log has it.",
  worker_id: "Instance id of the worker.",
  elapsed_ms: "Milliseconds until it ended, or until now.",
  latency_ms: "Milliseconds until the headers of the answer.",
  ttft_ms: "Milliseconds until the first token.",
  avg_itl_ms: "Milliseconds between two tokens, on average.",
  input_tokens: "Tokens of the prompts.",
  output_tokens: "Tokens of the answer so far.",
  reasoning_tokens: "Of these, those of thinking.",
  attempts: "How many workers were asked.",
  bytes: "Of the answer, if it was a stream.",
  items: "Batches of tokens that it sent.",
  resumed_tokens: "Tokens that others had sent before it went on.",
  attempt: "Its number, from 0.",
};

const time = z.string().describe("RFC 3339 with microseconds, UTC.").optional();
const status = z.string().describe("`success`, `error` or `cancelled`.").optional();

function toFacts(node: keyof typeof factNames): Record<string, z.ZodType> {
  const { texts, numbers } = factNames[node];
  const toField = (name: string, field: z.ZodType): [string, z.ZodType] => {
    const meaning = meanings[name];
    return [name, (meaning === undefined ? field : field.describe(meaning)).optional()];
  };
  return Object.fromEntries([
    ...texts.map((name) => toField(name, z.string())),
    ...numbers.map((name) => toField(name, z.number())),
  ]);
}

const requestNode = z.object({
  ...toFacts("request"),
  received_at: time,
  responded_at: time,
  finished_at: time,
  ended_at: time,
  outcome: status,
  http_status: z.int().optional(),
  status,
  facts: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
    .optional()
    .describe("What the engine of the worker that answered has reported."),
});

const workerNode: z.ZodType = z.object({
  ...toFacts("worker"),
  received_at: time,
  ended_at: time,
  status,
  attempts: z
    .array(z.lazy(() => attemptNode))
    .optional()
    .describe("Requests that it made under the same id."),
});

const attemptNode: z.ZodType = z.object({
  ...toFacts("attempt"),
  attempt: z.int().optional().describe("Its number, from 0."),
  started_at: time,
  ended_at: time,
  outcome: z.string().optional().describe("`success`, `cancelled`, or why it failed."),
  error_type: z.string().optional(),
  sent: z.boolean().describe("False if the request never left the frontend."),
  workers: z.array(workerNode).describe("What the worker said it saw, at the end of its answer."),
});

const state = z.enum(["running", "completed", "unknown"]);

const requestTree = z.object({
  request_id: z.string(),
  x_request_id: z.string().optional().describe("The client's own id."),
  trace_id: z.string().optional(),
  state,
  request: requestNode.optional(),
  attempts: z.array(attemptNode),
  strays: z.array(workerNode).describe("Workers whose attempt is not known."),
  problems: z
    .array(z.object({ kind: z.enum(["missing", "contradiction", "note"]), message: z.string() }))
    .describe("What does not fit together."),
  others: z
    .array(
      z.object({
        request_id: z.string(),
        span_id: z.string().optional().describe("The id that finds it alone."),
        received_at: time,
        state,
      }),
    )
    .optional()
    .describe("Older requests with the same id, at most 20."),
});

export const treeAnswers: Readonly<Record<string, z.ZodType>> = {
  RequestTree: requestTree,
  AttemptNode: attemptNode,
  WorkerNode: workerNode,
};
