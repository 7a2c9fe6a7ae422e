/** The upstream's HTTP: connections that are kept, and limits of time for each step of an answer. */
import * as http from "node:http";
import * as https from "node:https";
import { RuntimeError } from "@dyn/runtime";
import type { UpstreamOptions } from "./options.ts";

export type HttpOptions = Pick<UpstreamOptions, "url" | "connectTimeoutMs" | "firstByteTimeoutMs" | "idleTimeoutMs">;

export interface Asked {
  readonly method: "GET" | "POST";
  /** Below the upstream's URL, such as `/models`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** An answer whose head has come. Whoever has one disposes it: what has not been read is not waited for. */
export interface Reply extends Disposable {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** Its bytes as they come. @throws RuntimeError `unavailable` if the connection ends before the answer does, or is silent for too long. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Nothing more is wanted of it: what is left may come, so that the connection can be kept. */
  release(): void;
}

export interface UpstreamHttp extends Disposable {
  /** Resolves when the head of the answer has come. @throws RuntimeError `unavailable` if none comes; what the signal says once it aborts. */
  ask(asked: Asked): Promise<Reply>;
}

/** Idle connections that are kept, and for how long: shorter than servers do, as a rule. */
const maxIdleSockets = 64;
const keepAliveMs = 4_000;
/** For what follows an answer that is whole. */
const releaseMs = 1_000;

export function createUpstreamHttp(options: HttpOptions): UpstreamHttp {
  const isTls = options.url.startsWith("https:");
  const agentOptions = { keepAlive: true, maxFreeSockets: maxIdleSockets, timeout: keepAliveMs };
  const agent = isTls ? new https.Agent(agentOptions) : new http.Agent(agentOptions);
  const request = isTls ? https.request : http.request;
  const ask = async (asked: Asked): Promise<Reply> => {
    const { method, path, headers, body, signal } = asked;
    signal.throwIfAborted();
    const outgoing = request(`${options.url}${path}`, { method, headers, agent });
    const limit = createLimit(outgoing);
    const onAbort = (): void => void outgoing.destroy(toError(signal.reason));
    signal.addEventListener("abort", onAbort, { once: true });
    const end = (): void => {
      limit.stop();
      signal.removeEventListener("abort", onAbort);
      outgoing.destroy();
    };
    limit.start(options.connectTimeoutMs, "takes no connection");
    whenConnected(outgoing, () => limit.start(options.firstByteTimeoutMs, "has not begun to answer"));
    outgoing.end(body);
    try {
      const response = await toResponse(outgoing);
      const waits: Waits = {
        begin: () => limit.start(options.idleTimeoutMs, "has fallen silent"),
        end: () => limit.stop(),
      };
      const toFailure = (error: unknown): unknown => (signal.aborted ? signal.reason : (limit.failure ?? error));
      let isReleased = false;
      return {
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: readBody(response, waits, toFailure),
        release() {
          isReleased = true;
          if (response.readableEnded) return limit.stop();
          limit.start(releaseMs, "goes on after the end of its answer");
          response.once("close", () => limit.stop()).resume();
        },
        [Symbol.dispose]() {
          if (!isReleased) end();
          else signal.removeEventListener("abort", onAbort);
        },
      };
    } catch (error) {
      end();
      signal.throwIfAborted();
      // The upstream may close a kept connection at the moment we use it: nothing of the request has been looked at.
      if (outgoing.reusedSocket && isReset(error)) return ask(asked);
      throw toUnavailable(error);
    }
  };
  return { ask, [Symbol.dispose]: () => agent.destroy() };
}

interface Limit {
  /** What it has ended the request with. */
  readonly failure: Error | undefined;
  /** In place of the one that runs. */
  start(ms: number, what: string): void;
  stop(): void;
}

// One timer for a request: each step puts it off.
function createLimit(outgoing: http.ClientRequest): Limit {
  let timer: NodeJS.Timeout | undefined;
  let failure: Error | undefined;
  return {
    get failure() {
      return failure;
    },
    start(ms, what) {
      clearTimeout(timer);
      timer = setTimeout(() => {
        failure = new RuntimeError("unavailable", `the upstream ${what}: the limit is ${ms} ms`);
        outgoing.destroy(failure);
      }, ms);
    },
    stop: () => clearTimeout(timer),
  };
}

function whenConnected(outgoing: http.ClientRequest, then: () => void): void {
  outgoing.once("socket", (socket) => {
    if (outgoing.reusedSocket || !socket.connecting) then();
    else socket.once(outgoing.protocol === "https:" ? "secureConnect" : "connect", then);
  });
}

function toResponse(outgoing: http.ClientRequest): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.once("response", resolve);
    outgoing.on("error", reject); // also of later: an answer's own error tells of it
  });
}

/** When the upstream is waited for. A slow reader is none of its faults. */
interface Waits {
  begin(): void;
  end(): void;
}

// It may be left before its end without the connection being lost. The first bytes are those that were waited for with the head: some servers send that at once.
async function* readBody(
  response: http.IncomingMessage,
  waits: Waits,
  toFailure: (error: unknown) => unknown,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const bytes of response.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
      waits.end();
      yield bytes;
      waits.begin();
    }
  } catch (error) {
    throw toUnavailable(toFailure(error));
  }
}

function isReset(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ECONNRESET" || error.code === "EPIPE");
}

// The words of OpenSSL name a line of its source.
const noTls = "what answers does not speak TLS (EPROTO); --url may have to begin with http://";

// An error of the signal is its owner's, and stays what it is.
function toUnavailable(error: unknown): unknown {
  if (error instanceof RuntimeError || !(error instanceof Error && "code" in error)) return error;
  const said = error.code === "EPROTO" ? noTls : error.message === "" ? String(error.code) : error.message;
  return new RuntimeError("unavailable", `the connection to the upstream failed: ${said}`, {
    cause: error,
    publicMessage: "the server behind this worker could not be reached",
  });
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
