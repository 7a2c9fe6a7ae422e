/** A server whose answers a test writes, byte by byte. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Heard {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Parsed, if there is one. */
  readonly body: unknown;
  readonly text: string;
  /** Resolves when the client has gone before the answer was whole. */
  readonly left: Promise<void>;
}

export interface ScriptedServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Everything but `GET /models`, in its order. */
  readonly heard: Heard[];
  /** What answers next. */
  answer: (response: ServerResponse, heard: Heard) => void | Promise<void>;
  /** What answers `GET /models`. */
  list: (response: ServerResponse) => void;
  /** TCP connections that have been made. */
  connections: number;
}

export function sendEvents(response: ServerResponse, ...events: readonly unknown[]): void {
  if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
  for (const event of events) response.write(`data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`);
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

/** A piece of a chat's answer. */
export function piece(delta: Record<string, unknown>, finishReason: string | null = null): unknown {
  return { object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason: finishReason }] };
}

export async function startScriptedServer(
  models: readonly unknown[] = [{ id: "up" }],
  port = 0,
): Promise<ScriptedServer> {
  const heard: Heard[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (request.url === "/v1/models") return scripted.list(response);
      const text = Buffer.concat(chunks).toString();
      const { promise: left, resolve } = Promise.withResolvers<void>();
      response.once("close", () => response.writableFinished || resolve());
      const { method = "", url: path = "", headers } = request;
      const told: Heard = { method, path, headers, text, body: text === "" ? undefined : JSON.parse(text), left };
      heard.push(told);
      void scripted.answer(response, told);
    });
  });
  server.on("connection", () => (scripted.connections += 1));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const { port: bound } = server.address() as AddressInfo;
  const scripted: ScriptedServer = {
    url: `http://127.0.0.1:${bound}/v1`,
    port: bound,
    heard,
    connections: 0,
    answer: (response) => sendJson(response, 500, { error: { message: "no script" } }),
    list: (response) => sendJson(response, 200, { object: "list", data: models }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return scripted;
}
