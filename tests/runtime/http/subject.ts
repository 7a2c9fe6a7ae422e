/** A server of ours behind the gate, which answers as it is told. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createHttpGate } from "../../../packages/runtime/src/http/gate.ts";
import { limitServer, toServerOptions, type HttpLimits } from "../../../packages/runtime/src/http/limits.ts";
import { dial, type Client } from "../../support/http-client.ts";

const patient: HttpLimits = {
  httpMaxHeaderBytes: 16_384,
  httpMaxHeaders: 100,
  httpHeaderTimeoutMs: 60_000,
  httpReceiveTimeoutMs: 60_000,
  httpKeepAliveTimeoutMs: 60_000,
  httpSendTimeoutMs: 60_000,
  httpMaxConnections: 100,
};

export interface Subject extends AsyncDisposable {
  dial(options?: { readonly allowHalfOpen: boolean }): Client;
  /** Method, path and body of each request that was handled, in order. */
  readonly handled: readonly string[];
  connections(): Promise<number>;
  /** Requests that have been read. */
  seen(): number;
}

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** A server behind the gate whose answers are as long as `answer` makes them. */
export async function openSubject(
  limits: Partial<HttpLimits> = {},
  answer: Answer = (_request, response) => response.end("ok"),
): Promise<Subject> {
  const all = { ...patient, ...limits };
  const handled: string[] = [];
  const gate = createHttpGate({
    limits: all,
    now: () => performance.now(),
    toAnswer: ({ message }) => ({ body: message }),
  });
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    const refuse = (status: number): void => void response.writeHead(status).end();
    const fault = gate.faultOf(request);
    if (fault) return refuse(fault.status);
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString("latin1")));
    request.on("error", (error: { status?: number }) => error.status !== undefined && refuse(error.status));
    request.on("end", () => {
      handled.push(`${request.method} ${request.url} ${body}`);
      answer(request, response, body);
    });
  };
  let seen = 0;
  const server = createServer(toServerOptions(all), (request, response) => {
    seen += 1;
    gate.enter(request, response, serve);
  });
  limitServer(server, all);
  gate.guard(server);
  server.on("clientError", gate.refuse);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    handled,
    seen: () => seen,
    dial: ({ allowHalfOpen } = { allowHalfOpen: false }) => dial(port, allowHalfOpen),
    connections: () =>
      new Promise((resolve, reject) =>
        server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      ),
    async [Symbol.asyncDispose]() {
      gate[Symbol.dispose]();
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
