/** The ports of a frontend: what each serves, to whom, and their end. */
import { RuntimeError } from "@dyn/runtime";
import {
  createCallers,
  createCors,
  createEndReport,
  createRouteTable,
  isLoopback,
  methodsOf,
  openHost,
  type CallerKeys,
  type EndReport,
  type HostOptions,
  type HttpHost,
  type PortUse,
  type RouteEntry,
} from "@dyn/runtime/internal";
import { readTimeout, timeoutHeader } from "../inference/deadlines.ts";
import type { RequestLogOptions } from "../observe/request-log.ts";
import { toErrorBody } from "../openai/errors.ts";
import type { DescribedFrontend } from "../openapi/document.ts";
import type { ExposedPath } from "../settings/exposed-paths.ts";
import { routesAt } from "./routes.ts";
import { createUnmatched } from "./unmatched.ts";

/** Of the options of a host: those that are the same at both ports. */
type SharedOptions =
  | "limits"
  | "tls"
  | "memory"
  | "maxBodyBytes"
  | "maxRequests"
  | "overloadStatus"
  | "strictRequestId"
  | "baggageKeys"
  | "isLast"
  | "tracer"
  | "log"
  | "now";

export interface PortsOptions {
  readonly shared: Pick<HostOptions, SharedOptions>;
  /** For requests that no route takes. */
  readonly requestLog: RequestLogOptions;
  readonly http: Address;
  /** Undefined = what is for operators is at the port of all. */
  readonly operators: Address | undefined;
  readonly routes: readonly RouteEntry[];
  /** Of the routes, those of endpoints of one's own. */
  readonly exposed: readonly ExposedPath[];
  readonly keys: CallerKeys;
  readonly corsOrigins: readonly string[];
  /** Names by which it is asked, beside localhost and addresses. */
  readonly allowedHosts: readonly string[];
  /** For those who ask what may be sent. */
  readonly fieldLimits: DescribedFrontend["fieldLimits"];
}

type Address = Pick<HostOptions, "host" | "port">;

export interface HttpPorts {
  readonly http: Omit<HttpHost, "close">;
  readonly operators: Omit<HttpHost, "close"> | undefined;
  /** Accept no more; resolves when the last answers are out or `timeoutMs` is over. What became of the requests is counted in `report`.
   *  That of operators closes last: it shows the drain of the other. */
  close(timeoutMs: number, report: EndReport): Promise<void>;
}

/** How long the answers that are ended may take to leave, ms. */
const lastWordsMs = 1_000;

/** Start listening, at one port or two. @throws RuntimeError `unavailable` if an address is taken or not ours; nothing stays open then. */
export async function listenHttp(options: PortsOptions): Promise<HttpPorts> {
  const operators = options.operators && (await openPort(options, options.operators, "operators"));
  const close = (port: HttpHost, timeoutMs: number, report: EndReport): Promise<void> => {
    const reason = new RuntimeError("unavailable", "the frontend is shutting down");
    return port.close({ timeoutMs, lastWordsMs, reason, report });
  };
  try {
    const http = await openPort(options, options.http, operators ? "clients" : "all");
    return {
      http,
      operators,
      async close(timeoutMs, report) {
        try {
          await close(http, timeoutMs, report);
        } finally {
          if (operators) await close(operators, lastWordsMs, report);
        }
      },
    };
  } catch (error) {
    if (operators) await close(operators, 0, createEndReport(options.shared.now));
    throw error;
  }
}

const clientsWords = {
  portSetting: "--http-port or DYN_HTTP_PORT",
  openWarning:
    "everybody who reaches the HTTP port is served, nobody is asked for an API key: set --api-keys-file, or listen on 127.0.0.1 with --http-host",
};
const operatorsWords = {
  portSetting: "--operator-port or DYN_OPERATOR_PORT",
  openWarning:
    "everybody who reaches the operators' port sees all requests, nobody is asked for a key: set --operator-keys-file, or listen on 127.0.0.1 with --operator-host",
};

async function openPort(options: PortsOptions, address: Address, use: PortUse): Promise<HttpHost> {
  const { shared, keys, corsOrigins, allowedHosts: allowed, fieldLimits, exposed, requestLog } = options;
  const { portSetting, openWarning } = use === "operators" ? operatorsWords : clientsWords;
  const isOpen = (use === "operators" ? keys.operatorKeys : keys.apiKeys) === undefined;
  const callers = createCallers(keys, use);
  const routes = routesAt(use, options.routes, {
    ...shared,
    fieldLimits,
    exposed,
    isOpen: (audience) => callers.refuse(callers.find({}), audience, {}) === undefined,
  });
  const methods = [...new Set(routes.flatMap(methodsOf))];
  const port = await openHost({
    ...shared,
    ...address,
    portSetting,
    hosts: { allowed, setting: "--http-allowed-hosts (DYN_HTTP_ALLOWED_HOSTS)", isOpen },
    routes: createRouteTable(routes),
    callers,
    cors: createCors(use === "operators" ? [] : corsOrigins, methods), // no page operates
    bodySetting: "DYN_HTTP_BODY_LIMIT_MB",
    timeoutOf: ({ headers }) => readTimeout(headers[timeoutHeader], ownTimeout).totalMs,
    unmatched: createUnmatched(requestLog, exposed),
    toFaultBody: toErrorBody,
  });
  if (isOpen && !isLoopback(port.host)) shared.log.warn({ host: port.host }, openWarning);
  return port;
}

/** That of a request that says nothing of it. */
const ownTimeout = { totalMs: Number.POSITIVE_INFINITY, firstTokenMs: 0, betweenTokensMs: 0 };
