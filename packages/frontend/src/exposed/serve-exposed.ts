/** POST at a path of one's own: any body in JSON goes to an endpoint, and its items come back as JSON or as events. */
import { RuntimeError, type Client } from "@dyn/runtime";
import { sendPage, textFactor, type Exchange } from "@dyn/runtime/internal";
import { EventStream, keepAlive } from "../http/sse.ts";
import type { Refusals } from "../inference/api.ts";
import { receiveAll } from "../inference/ask.ts";
import { toOptions, type AskParts } from "../inference/ask-options.ts";
import { givenAtEnd } from "../inference/given-headers.ts";
import { parseAny } from "../inference/parse.ts";
import { serveParsed, writeStream, type InferenceParts } from "../inference/serve.ts";
import type { ExposedPath } from "../settings/exposed-paths.ts";
import { toErrorBody, toErrorEvent } from "./errors.ts";
import { toItemJson } from "./item-json.ts";
import { wantsEvents } from "./wants-events.ts";

/** An endpoint behind a path. */
export interface Exposed extends ExposedPath {
  readonly client: Client<unknown, unknown>;
}

/** How requests of a path are refused. */
export function toRefusals({ path }: ExposedPath): Refusals {
  return { endpoint: path, toErrorBody };
}

/** Never rejects, as `serveInference`. */
export function serveExposed(exposed: Exposed, exchange: Exchange, raw: unknown, parts: InferenceParts): Promise<void> {
  const { body, ...parsed } = parseAny((given) => ({ given }), exchange, raw, parts);
  const isStream = wantsEvents(exchange.request.headers, body);
  const requestType = isStream ? ("stream" as const) : ("unary" as const);
  // Where lines and metrics name a model they name the endpoint.
  const names = { endpoint: exposed.path, modelAsked: exposed.address, isKnown: true, isTokenless: true } as const;
  return serveParsed(toRefusals(exposed), exchange, parsed, { ...names, requestType }, parts, ({ given }, asking) =>
    (isStream ? stream : complete)(exposed, given, asking, parts),
  );
}

type Receive = (items: readonly unknown[], at: number) => Promise<void> | undefined;

function ask({ client, address }: Exposed, body: unknown, asking: AskParts, receive: Receive): Promise<void> {
  const { requestLog } = asking;
  if (client.instances.length === 0)
    throw new RuntimeError("unavailable", `no instance serves ${address} at the moment`);
  const answer = client.generate(body, toOptions(asking, "x-worker-instance-id"));
  requestLog.record.answer = answer;
  return receiveAll(answer.batches(), asking, { receive, isWhole: () => false });
}

async function complete(exposed: Exposed, body: unknown, asking: AskParts, parts: InferenceParts): Promise<void> {
  const { exchange, requestLog, maxAnswerBytes } = asking;
  const items: string[] = [];
  let bytes = 0;
  await ask(exposed, body, asking, (batch) => {
    for (const item of batch) {
      const json = toItemJson(item);
      bytes += Buffer.byteLength(json) + 1;
      if (bytes > maxAnswerBytes) throw toExcess(maxAnswerBytes);
      exchange.memory.take(textFactor * json.length); // until the joined text is out
      items.push(json);
    }
    return undefined;
  });
  const [first = "[]"] = items;
  const headers = parts.passHeaders(exchange, givenAtEnd(requestLog.record));
  sendPage(exchange, "application/json", items.length > 1 ? `[${items.join(",")}]` : first, headers && { headers });
  requestLog.responded(200);
}

function toExcess(maxBytes: number): RuntimeError {
  const limit = `the answer is larger than ${maxBytes} bytes, the limit set by DYN_HTTP_ANSWER_LIMIT_MB`;
  return new RuntimeError("unimplemented", `${limit}; ask for a stream, with accept: text/event-stream`);
}

async function stream(
  exposed: Exposed,
  body: unknown,
  asking: AskParts,
  { keepAliveMs, passHeaders }: InferenceParts,
): Promise<void> {
  const { exchange, requestLog, now } = asking;
  using events = new EventStream(exchange, {
    keepAlive,
    keepAliveMs,
    now,
    headers: () => passHeaders(exchange, givenAtEnd(requestLog.record)),
    onBegin: () => requestLog.responded(200),
  });
  let items = 0;
  const write = async (): Promise<string> => {
    await ask(exposed, body, asking, (batch, at) => {
      let text = "";
      try {
        for (const item of batch) {
          text += `data: ${toItemJson(item)}\n\n`;
          items += 1;
        }
      } catch (error) {
        void events.write(text, at); // those before it are as good as any
        throw error;
      }
      return events.write(text, at);
    });
    return `event: end\ndata: {"items":${items}}\n\n`;
  };
  await writeStream(events, asking, (error) => toErrorEvent(error, exchange.identity.requestId), write);
}
