/** Workers that say what a test tells them to, and a caller that knows them. */
import { createServer, type AddressInfo } from "node:net";
import { createMemoryDiscovery } from "../../packages/runtime/src/discovery/memory.ts";
import { parseAddress, recordKey, type EndpointRecord } from "../../packages/runtime/src/discovery/records.ts";
import { errorTable, isErrorCode } from "../../packages/runtime/src/error-table.ts";
import { createMemorySpace, createRuntime, type Client } from "../../packages/runtime/src/index.ts";
import { renderMetrics } from "../../packages/runtime/src/internal.ts";
import { createLogger } from "../support/logger.ts";
import { fromPlaneHeaders, type SeenIdentity } from "../../packages/runtime/src/trace/identity.ts";
import { frameTypes } from "../../packages/runtime/src/wire/frames.ts";
import { encodeDeltaItem } from "../../packages/runtime/src/wire/items.ts";
import { encodeHello, type Hello } from "../../packages/runtime/src/wire/hello.ts";
import * as endings from "../../packages/runtime/src/wire/endings.ts";
import * as messages from "../../packages/runtime/src/wire/messages.ts";
import type { Line } from "../support/cluster.ts";
import { follow } from "./discovery/spaces.ts";
import { parseOpenMetrics } from "../support/open-metrics.ts";
import { address, config, hello, rawPeer, type Ask, type RawPeer } from "./peers.ts";

/** What a worker does at a request. */
export type Behave = (peer: RawPeer, id: number, request: messages.RequestMessage) => void;

export interface ScriptedWorker {
  readonly behave: Behave;
  /** What its HELLO says otherwise than the others'. */
  readonly hello?: Partial<Hello>;
  /** It hangs up as soon as the caller has said HELLO too. */
  readonly hangsUp?: boolean;
  /** It answers no pings, as one that is gone. */
  readonly isGone?: boolean;
  /** Its record says that a request may run twice. Default true. */
  readonly isIdempotent?: boolean;
}

export interface ScriptedWorkers extends AsyncDisposable {
  readonly client: Client<Ask, unknown>;
  /** Take all records away, and say so to everybody. */
  loseRegistry(): void;
  /** The record of the first worker's id at `endpoint` (default: everybody's) says from now on that it is where the worker with that index is. */
  moveTo(index: number, endpoint?: string): void;
  /** Another endpoint's client in the caller's process. */
  openClient(endpoint: string): Client<Ask, unknown>;
  /** Log records of the caller. */
  readonly lines: Line[];
  /** For each worker its ends of the connections so far. */
  readonly peers: readonly (readonly RawPeer[])[];
  /** The caller's counters. */
  readCounter(name: string): Promise<number>;
}

/** Instance id of the first worker; the next ones count up. */
export const firstInstanceId = 77n;

export async function startScriptedWorkers(...workers: readonly ScriptedWorker[]): Promise<ScriptedWorkers> {
  const space = createMemorySpace();
  const lines: Line[] = [];
  const log = createLogger({ sink: (record) => lines.push(record) });
  const discovery = createMemoryDiscovery(space, log);
  const table = space.tables["v1/instances"];
  const toRecord = (id: bigint, port: number, endpoint = address): EndpointRecord => ({
    type: "Endpoint",
    ...parseAddress(endpoint),
    instance_id: id,
    transport: { tcp: `127.0.0.1:${port}/x` },
    dyn_plane: 1,
    ...((workers[Number(id - firstInstanceId)]?.isIdempotent ?? true) && { dyn_idempotent: true }),
  });
  const started = await Promise.all(
    workers.map(async (worker, index) => {
      const id = firstInstanceId + BigInt(index);
      const { port, ...rest } = await startWorker(worker, id.toString());
      await discovery.publish(toRecord(id, port));
      return { port, ...rest };
    }),
  );
  const runtime = await createRuntime({ config, memorySpace: space, log: log.pino });
  return {
    client: runtime.client<Ask, unknown>(address),
    lines,
    loseRegistry() {
      using all = follow(discovery);
      table.apply(Array.from(all.records.keys(), (key) => ({ key, record: undefined })));
    },
    openClient: (endpoint) => runtime.client(endpoint),
    moveTo(index, endpoint) {
      const record = toRecord(firstInstanceId, started[index]?.port ?? 0, endpoint);
      table.apply([{ key: recordKey(record), record }]);
    },
    peers: started.map(({ peers }) => peers),
    async readCounter(name) {
      return parseOpenMetrics((await renderMetrics(runtime.metrics.registry, "openmetrics")).body).value(name);
    },
    async [Symbol.asyncDispose]() {
      await runtime[Symbol.asyncDispose]();
      for (const worker of started) worker.close();
    },
  };
}

async function startWorker(
  { behave, hello: more = {}, hangsUp = false, isGone = false }: ScriptedWorker,
  id: string,
): Promise<{ port: number; peers: RawPeer[]; close(): void }> {
  const peers: RawPeer[] = [];
  const server = createServer((socket) => {
    const peer = rawPeer(socket, true);
    peers.push(peer);
    peer.send((writer) => encodeHello(writer, { ...hello, instance_id: id, ...more }));
    let seen = 0;
    socket.on("data", () => {
      if (hangsUp && peer.frames.length > 0) socket.end();
      for (; seen < peer.frames.length; seen += 1) {
        const { type, id, body } = peer.frames[seen] ?? { type: 0, id: 0, body: Buffer.alloc(0) };
        if (type === frameTypes.REQUEST) behave(peer, id, messages.decodeRequest(body));
        if (type === frameTypes.PING && !isGone) peer.send((writer) => messages.encodePing(writer, "PONG", body));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    peers,
    close() {
      for (const peer of peers) peer[Symbol.dispose]();
      server.close();
    },
  };
}

export function sendItem(peer: RawPeer, id: number, text: string): void {
  peer.send((writer) => {
    const mark = writer.beginItems(id);
    encodeDeltaItem(writer, { text });
    writer.endItems(id, mark);
  });
}

/** What an honest worker saw. */
export function seenBy({ headers, attempt }: messages.RequestMessage, instanceId = firstInstanceId): SeenIdentity {
  const { requestId, xRequestId, trace } = fromPlaneHeaders(headers);
  return {
    request_id: requestId,
    ...(xRequestId !== undefined && { x_request_id: xRequestId }),
    trace_id: trace.traceId,
    ...(trace.parentId !== undefined && { parent_id: trace.parentId }),
    span_id: trace.spanId,
    instance_id: instanceId.toString(),
    attempt,
  };
}

export function sendEnd(peer: RawPeer, id: number, seen: unknown): void {
  peer.send((writer) => endings.encodeEnd(writer, id, { seen: seen as SeenIdentity, items: 0, elapsed_ms: 0 }));
}

export function sendError(peer: RawPeer, id: number, code: endings.ErrorMessage["code"]): void {
  peer.send((writer) =>
    endings.encodeError(writer, id, {
      code,
      message: "as told",
      retryable: isErrorCode(code) && errorTable[code].retryable,
      produced: false,
    }),
  );
}
