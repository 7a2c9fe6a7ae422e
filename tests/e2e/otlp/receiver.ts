/** A trace collector for tests: takes OTLP over grpc and http/protobuf, decodes it, keeps the spans. */
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import protobuf from "protobufjs";
import { root } from "../../support/cluster.ts";

export type Protocol = "grpc" | "http/protobuf";

/** One span as it arrived, ids as hex. */
export interface ReceivedSpan {
  readonly name: string;
  readonly kind: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentId: string;
  readonly traceState: string;
  readonly flags: number;
  readonly status: { readonly code: string; readonly message: string };
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly { readonly name: string; readonly at: bigint }[];
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly startedAt: bigint;
  readonly endedAt: bigint;
  readonly resource: Readonly<Record<string, unknown>>;
}

export interface Receiver extends AsyncDisposable {
  /** What OTEL_* must say for a program to export here. */
  env(protocol: Protocol): Record<string, string>;
  /** All spans so far, in the order of their start. */
  spans(): ReceivedSpan[];
  /** Headers of every export, grpc metadata included. */
  readonly headers: Readonly<Record<string, unknown>>[];
}

const schema = protobuf.loadSync(join(root, "tests/e2e/otlp/trace.proto"));
const requestType = schema.lookupType("opentelemetry.ExportTraceServiceRequest");

interface Any {
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly intValue?: string;
  readonly doubleValue?: number;
  readonly arrayValue?: { readonly values?: readonly Any[] };
}
type Pairs = readonly { readonly key: string; readonly value?: Any }[];
interface RawSpan {
  readonly name: string;
  readonly kind: string;
  /** Bytes as base64, 64-bit numbers as text, as `toObject` is told to give them. */
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly flags?: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: Pairs;
  readonly events?: readonly { readonly name: string; readonly timeUnixNano: string }[];
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status?: { readonly code?: string; readonly message?: string };
}
interface RawRequest {
  readonly resourceSpans?: readonly {
    readonly resource?: { readonly attributes?: Pairs };
    readonly scopeSpans?: readonly { readonly spans?: readonly RawSpan[] }[];
  }[];
}

function toValue(any: Any | undefined): unknown {
  if (any?.arrayValue) return (any.arrayValue.values ?? []).map(toValue);
  if (any?.intValue !== undefined) return Number(any.intValue);
  return any?.stringValue ?? any?.boolValue ?? any?.doubleValue;
}

function toAttributes(pairs: Pairs = []): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, toValue(value)]));
}

function toHex(base64 = ""): string {
  return Buffer.from(base64, "base64").toString("hex");
}

function toSpan(raw: RawSpan, resource: Record<string, unknown>): ReceivedSpan {
  return {
    name: raw.name,
    kind: raw.kind,
    traceId: toHex(raw.traceId),
    spanId: toHex(raw.spanId),
    parentId: toHex(raw.parentSpanId),
    traceState: raw.traceState ?? "",
    flags: raw.flags ?? 0,
    status: { code: raw.status?.code ?? "UNSET", message: raw.status?.message ?? "" },
    attributes: toAttributes(raw.attributes),
    events: (raw.events ?? []).map(({ name, timeUnixNano }) => ({ name, at: BigInt(timeUnixNano) })),
    links: (raw.links ?? []).map(({ traceId, spanId }) => ({ traceId: toHex(traceId), spanId: toHex(spanId) })),
    startedAt: BigInt(raw.startTimeUnixNano),
    endedAt: BigInt(raw.endTimeUnixNano),
    resource,
  };
}

/** All spans of one export. Throws on bytes that are no such message. */
function decodeExport(bytes: Uint8Array): ReceivedSpan[] {
  const request = requestType.toObject(requestType.decode(bytes), {
    longs: String,
    enums: String,
    bytes: String,
  }) as RawRequest; // the schema's shape
  return (request.resourceSpans ?? []).flatMap(({ resource, scopeSpans = [] }) => {
    const attributes = toAttributes(resource?.attributes);
    return scopeSpans.flatMap(({ spans = [] }) => spans.map((span) => toSpan(span, attributes)));
  });
}

type OnExport = (bytes: Buffer, headers: Record<string, unknown>) => void;

async function listenHttp(onExport: OnExport): Promise<HttpServer> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      const isTraces =
        request.method === "POST" &&
        request.url === "/v1/traces" &&
        request.headers["content-type"] === "application/x-protobuf";
      if (isTraces) onExport(request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body, request.headers);
      response.writeHead(isTraces ? 200 : 404, { "content-type": "application/x-protobuf" }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

async function listenGrpc(onExport: OnExport): Promise<{ server: Server; port: number }> {
  const service: ServiceDefinition = {
    export: {
      path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
      requestStream: false,
      responseStream: false,
      requestSerialize: (value: Buffer) => value,
      requestDeserialize: (bytes) => bytes,
      responseSerialize: (value: Buffer) => value,
      responseDeserialize: (bytes) => bytes,
    },
  };
  const implementation: UntypedServiceImplementation = {
    export(call: { request: Buffer; metadata: Metadata }, done: (error: null, answer: Buffer) => void) {
      onExport(call.request, call.metadata.getMap());
      done(null, Buffer.alloc(0)); // an ExportTraceServiceResponse without a partial success
    },
  };
  const server = new Server();
  server.addService(service, implementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { server, port };
}

/** Listen for both protocols, on ports of the system's choice. */
export async function startReceiver(): Promise<Receiver> {
  const spans: ReceivedSpan[] = [];
  const headers: Record<string, unknown>[] = [];
  const onExport: OnExport = (bytes, sent) => {
    spans.push(...decodeExport(bytes));
    headers.push(sent);
  };
  const http = await listenHttp(onExport);
  const grpc = await listenGrpc(onExport);
  const ports: Record<Protocol, number> = { grpc: grpc.port, "http/protobuf": (http.address() as AddressInfo).port }; // it listens on TCP
  return {
    headers,
    spans: () => spans.toSorted((left, right) => (left.startedAt < right.startedAt ? -1 : 1)),
    env: (protocol) => ({
      OTEL_EXPORT_ENABLED: "1",
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${ports[protocol]}`,
      OTEL_BSP_SCHEDULE_DELAY: "50",
    }),
    async [Symbol.asyncDispose]() {
      grpc.server.forceShutdown();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}
