/** `@dyn/lineage`: what happened to a request, from the log lines of all processes or from a frontend's memory. */
/// <reference types="node" preserve="true" />
export { createHistory } from "./history.ts";
export type { FoundTree, History, HistoryOptions, OtherRequest, RequestRecord, RequestStart } from "./history.ts";
export { traceRequests } from "./trace-command.ts";
export type { TraceOptions } from "./trace-command.ts";
export { factNames } from "./tree.ts";
