/** A client that knows several frontends, and goes to the next one when a connection is refused or breaks before its answer has begun. */
import { Agent, request, type IncomingMessage } from "node:http";
import { pathOf, type Ask } from "./asks.ts";

export interface Reply {
  readonly status: number;
  readonly requestId: string | undefined;
  readonly xRequestId: string | undefined;
  readonly raw: string;
}

export interface Client extends Disposable {
  /** The whole answer, or, of one that leaves, what it has seen. Rejects if the connection breaks or `timeoutMs` is over. */
  send(ask: Ask): Promise<Reply>;
  /** Connections that were refused, or broke before an answer had begun. */
  readonly retries: number;
}

export interface ClientOptions {
  /** Of the frontends, as they are now. */
  readonly ports: () => readonly number[];
  readonly timeoutMs: number;
}

/** How often each frontend is asked: while one is away, several connections to the other may turn out to be those of the process before it. */
const rounds = 5;
const dawdleMs = 400;
const dawdleBytes = 256 * 1024;

/** Create a client with connections of its own. */
export function createClient({ ports, timeoutMs }: ClientOptions): Client {
  const agent = new Agent({ keepAlive: true });
  let sent = 0;
  let retries = 0;
  const send = async (ask: Ask): Promise<Reply> => {
    const first = (sent += 1);
    for (let tries = 0; ; tries += 1) {
      const all = ports();
      const port = all[(first + tries) % all.length] ?? 0;
      try {
        return await post(agent, port, ask, timeoutMs);
      } catch (error) {
        if (!(error instanceof Unanswered) || tries === rounds * all.length) throw error;
        retries += 1;
      }
    }
  };
  return {
    send,
    get retries() {
      return retries;
    },
    [Symbol.dispose]: () => agent.destroy(),
  };
}

/** Nothing of an answer has come: the request is sent again. */
class Unanswered extends Error {}

function post(agent: Agent, port: number, ask: Ask, timeoutMs: number): Promise<Reply> {
  const body = JSON.stringify(ask.body);
  const headers = {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "x-request-id": ask.id,
  };
  return new Promise((resolve, reject) => {
    let hasBegun = false;
    const sent = request(
      { agent, port, host: "127.0.0.1", method: "POST", path: pathOf(ask.shape), headers },
      (response) => {
        hasBegun = true;
        read(response, ask).then(resolve, reject).finally(done);
      },
    );
    const late = setTimeout(() => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    const done = (): void => clearTimeout(late);
    sent.on("error", (error) => {
      done();
      reject(!hasBegun && isBroken(error) ? new Unanswered(error.message, { cause: error }) : error);
    });
    sent.end(body);
  });
}

// A server that ends may close a connection at the moment a request is sent on it: HTTP has no word for "no more" on one that is idle, and a system that closes
// a port resets the connections that it has not handed over. So the official clients of both APIs send any request again that has no answer when its
// connection breaks, and so does this one. That nobody had begun to handle it is for the ledger to find out: it counts how often each was received.
function isBroken(error: Error): boolean {
  return "code" in error && ["ECONNREFUSED", "ECONNRESET", "EPIPE"].includes(String(error.code));
}

async function read(response: IncomingMessage, { manner }: Ask): Promise<Reply> {
  const { "request-id": requestId, "x-request-id": xRequestId } = response.headers;
  const chunks: Buffer[] = [];
  let unread = 0;
  for await (const chunk of response) {
    chunks.push(chunk as Buffer); // no encoding is set
    if (manner === "leaves") break; // closes the connection
    unread += (chunk as Buffer).length;
    if (manner !== "dawdles" || unread < dawdleBytes) continue;
    unread = 0;
    await new Promise((resolve) => setTimeout(resolve, dawdleMs));
  }
  const reply = { status: response.statusCode ?? 0, raw: Buffer.concat(chunks).toString("utf8") };
  return { ...reply, requestId: String(requestId), xRequestId: String(xRequestId) };
}
