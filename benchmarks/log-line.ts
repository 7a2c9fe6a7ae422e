/** What a line of a request costs, its logger included, beside `JSON.stringify` of the same record. */
import type { Fields } from "../packages/runtime/src/logging/format.ts";
import { createLogger } from "../packages/runtime/src/logging/logger.ts";
import { createPino } from "../packages/runtime/src/logging/pino.ts";
import { openLogWriter } from "../packages/runtime/src/logging/writer.ts";
import { atMost, type Row } from "./table.ts";

const rounds = 300;
/** The writer holds the lines of a round, and lets them go at its end. */
const roundRequests = 400;
const linesOfRequest = 2;

const ids = (number: number): Fields => ({
  span_id: "acae545b56e59e3c",
  span_name: "http-request",
  trace_flags: "01",
  trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
  parent_id: "00f067aa0ba902b7",
  request_id: `f52be7a9-8809-408c-9140-${String(number).padStart(12, "0")}`,
  x_request_id: "order-4711",
  method: "POST",
  uri: "/v1/chat/completions",
  version: "HTTP/1.1",
});
const request: Fields = { endpoint: "chat_completions", model: "mock", request_type: "stream" };
const completion: Fields = {
  attempts: 1,
  input_tokens: 3,
  output_tokens: 3,
  ttft_ms: 2.496,
  avg_itl_ms: 6.017,
  worker_id: "17776772976555459617",
  prefill_worker_id: "17776772976555459617",
  decode_worker_id: "17776772976555459617",
  attempt_span_id: "b513e60d0e126a6c",
  elapsed_ms: 15.971,
  status: "success",
};

function timeMicros(run: (number: number) => void): number {
  const begunAt = performance.now();
  for (let number = 0; number < roundRequests; number += 1) run(number);
  return ((performance.now() - begunAt) * 1_000) / roundRequests;
}

/** The cheapest of many short rounds by turns: whatever else the machine does makes a line dearer. */
export async function measureLines(): Promise<readonly Row[]> {
  const output = { queuedBytes: 0, write: (_lines: string, done: (lost: number) => void) => done(0) };
  using writer = openLogWriter({ jsonl: true, now: Date.now, output });
  const log = createLogger({ open: createPino(writer, Date.now) });
  const write = (number: number): void => {
    const lines = log
      .child({ requestId: "any", fields: () => ids(number) })
      .child({ target: "dyn_frontend::request_log", fields: request });
    lines.event("request_received", {}, "request received");
    lines.event("request_completed", completion, "request completed");
  };
  const head = { time: "2026-11-24T16:17:06.831517Z", level: "INFO", target: "dyn_frontend::request_log" };
  const stringify = (number: number): void =>
    void JSON.stringify({ ...head, message: "request completed", ...ids(number), ...request, ...completion });
  let [line, record] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < rounds; round += 1) {
    line = Math.min(line, timeMicros(write) / linesOfRequest);
    record = Math.min(record, timeMicros(stringify));
    await writer.flush(1_000);
  }
  return [
    atMost("a line of a request, its logger included", line, 5, " µs", 2),
    { name: "  JSON.stringify of such a record", value: `${record.toFixed(2)} µs` },
  ];
}
