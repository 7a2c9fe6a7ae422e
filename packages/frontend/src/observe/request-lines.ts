/** The pair of lifecycle lines of an inference request, and those of its answer between them. */
import type { Fields, RuntimeError } from "@dyn/runtime";
import { roundMs, type Logger } from "@dyn/runtime/internal";
import type { RequestReader, RequestRecord } from "./request-record.ts";

/** Write `request received`. Of a request that is summed up (as one of the kind `sum`) all lines wait for the last: they are written with it, or not at all. */
export function createLines(log: Logger, sum: string | undefined): RequestReader {
  const held: (() => void)[] = [];
  const say = (line: () => void): void => {
    if (sum === undefined) line();
    else held.push(line);
  };
  say(() => log.event("request_received", {}, "request received"));
  return {
    responded({ httpStatus: status = 0, respondedAt = 0, start: { startedAt } }) {
      const fields = { status, latency_ms: roundMs(respondedAt - startedAt) };
      say(() => sayResponded(log, status, fields));
    },
    ended(record) {
      const { failure, streamedBytes: bytes, outcome, facts } = record;
      const { elapsed_ms } = facts;
      if (bytes !== undefined)
        log.event("http_response_finished", { bytes, elapsed_ms, outcome }, "http response finished");
      const fields = failure ? { ...facts, error: failure.message } : facts;
      if (sum === undefined) return sayCompleted(log, fields, failure);
      const before = (): void => held.forEach((line) => line());
      log.summed("error", { ...fields, event: "request_completed" }, "request completed", {
        kind: `${sum} ${failure?.code}`,
        before,
      });
    },
  };
}

/** Fields that all of them have. */
export function toBoundFields(record: RequestRecord, apiKey: string | undefined): Fields {
  const { model, modelRequested: model_requested, start } = record;
  return {
    endpoint: start.endpoint,
    model,
    request_type: start.requestType,
    ...(model_requested !== undefined && { model_requested }),
    ...(apiKey !== undefined && { api_key: apiKey }),
  };
}

function sayResponded(log: Logger, status: number, fields: Fields): void {
  log.event("http_response_sent", fields, "http response sent", status < 400 ? undefined : "error");
}

function sayCompleted(log: Logger, fields: Fields, failure: RuntimeError | undefined): void {
  const level = failure && (failure.code === "cancelled" ? "info" : "error");
  log.event("request_completed", fields, "request completed", level);
}
