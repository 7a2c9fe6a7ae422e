/** What it costs to remember a request that is over: time, beside the same record without a history in the same run, and memory. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createHistory, type History, type ObservedRequest } from "../packages/lineage/src/index.ts";
import { RequestRecord } from "../packages/frontend/src/observe/request-record.ts";
import { childSpan, acceptTrace } from "../packages/runtime/src/trace/traceparent.ts";
import { createRequestId } from "../packages/runtime/src/ids.ts";
import type { AttemptReport } from "../packages/runtime/src/egress/routed-request.ts";
import { atMost, type Row } from "./table.ts";

/** As the setting's default. */
const size = 1_000;
const requests = 20_000;
const rounds = 15;
const mostUs = 3;
const mostBytes = 2_048;

// A unary request of ten tokens that one worker has answered, as its frontend has it when it is over. Ids are new, texts are those of its bytes.
function createRecord(): RequestRecord {
  const trace = acceptTrace(undefined);
  const spanId = childSpan(trace).spanId;
  const [requestId, startedAt] = [createRequestId(), performance.now()];
  const record = new RequestRecord(
    {
      identity: { requestId, trace },
      method: "POST",
      uri: Buffer.from("/v1/chat/completions").toString(),
      owner: undefined,
      endpoint: "chat_completions",
      requestType: "unary",
      modelAsked: Buffer.from("mock-model-of-8b").toString(),
      isKnown: true,
      startedAt,
      parsedAt: startedAt,
    },
    () => performance.now(),
  );
  const seen = {
    request_id: Buffer.from(requestId).toString(),
    trace_id: Buffer.from(trace.traceId).toString(),
    parent_id: Buffer.from(spanId).toString(),
    span_id: childSpan(trace).spanId,
    instance_id: "17776772976555459617",
    attempt: 0,
  };
  const report: AttemptReport = {
    number: 0,
    instanceId: "17776772976555459617",
    spanId,
    startedAt: startedAt + 0.3,
    endedAt: startedAt + 2.3,
    isSent: true,
    outcome: "success",
    failure: undefined,
    trailer: { seen, items: 10, elapsed_ms: 1.234, ttft_ms: 0.567 },
  };
  record.answer = { attempts: 1, retries: 0, resumptions: 0, reports: [report] };
  return record;
}

// What the request does between its first and its last line, as far as it is the record's.
function serve(record: RequestRecord, history: History | undefined): void {
  history?.begin(record);
  for (let token = 0; token < 10; token += 1) record.clock.add(1, record.clock.startedAt + 1 + token / 10);
  record.usage = { promptTokens: 12, completionTokens: 10 };
  record.httpStatus = 200;
  record.respondedAt = performance.now();
  record.endedAt = performance.now();
  if (record.facts["status"] !== "success") throw new Error("the request has not gone well");
  history?.end(record);
}

function openHistory(): History {
  return createHistory({ size, now: () => performance.now(), clockOffset: () => performance.timeOrigin });
}

/** CPU of this process, µs a request. */
function measureRound(history: History | undefined): number {
  const records = Array.from({ length: requests }, createRecord);
  const before = process.cpuUsage();
  for (const record of records) serve(record, history);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / requests;
}

/** Bytes of heap for each request that is kept. */
function measureBytes(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const history = openHistory();
  const request: ObservedRequest = createRecord();
  history.find(request.start.identity.requestId, { owner: undefined, seesAll: true });
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let index = 0; index < size * 2; index += 1) serve(createRecord(), history);
  collect();
  const bytes = (process.memoryUsage().heapUsed - before) / size;
  history.find(request.start.identity.requestId, { owner: undefined, seesAll: true }); // it is held until here
  return bytes;
}

/** Rounds with a history and without take turns. */
export function measureHistory(): readonly Row[] {
  const history = openHistory();
  const [without, with_]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    without.push(measureRound(undefined));
    with_.push(measureRound(history));
  }
  const bareUs = Math.min(...without); // other work on the machine only adds
  const costUs = Math.min(...with_) - bareUs;
  return [
    { name: "record of a request without a history, CPU", value: `${bareUs.toFixed(2)} µs` },
    atMost("remembering it in the history, CPU besides", costUs, mostUs, " µs", 2),
    atMost("memory of each request that is remembered", measureBytes(), mostBytes, " bytes", 0),
  ];
}
