/** `@dyn/lineage`: what happened to a request, from a frontend's memory. From the log lines of all processes: `@dyn/lineage/trace`, which a frontend that serves need not load. */
/// <reference types="node" preserve="true" />
export { createHistory } from "./history.ts";
export type { FoundTree, History, HistoryOptions, OtherRequest } from "./history.ts";
export type { ObservedRequest } from "./kept.ts";
export { factNames } from "./tree.ts";
