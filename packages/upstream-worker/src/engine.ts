/** An engine that asks a server of OpenAI's API. */
import type { RequestContext } from "@dyn/runtime";
import type { Delta, Engine, ModelRequest } from "@dyn/runtime/llm";
import { toBody } from "./body.ts";
import { Answer } from "./deltas.ts";
import { readEvents, maxEventChars } from "./events.ts";
import { ask, readFailure, readText, type Asking } from "./exchange.ts";
import { toProtocolError } from "./failures.ts";
import type { Reply } from "./http.ts";
import type { UpstreamOptions } from "./options.ts";

export interface EngineParts extends Asking {
  /** The model's name there. */
  readonly model: string;
  readonly maxTokensField: UpstreamOptions["maxTokensField"];
}

export function createUpstreamEngine({ model, maxTokensField, ...asking }: EngineParts): Engine {
  return async function* upstream(request: ModelRequest, context: RequestContext): AsyncGenerator<Delta, void> {
    const body = toBody(request, model, maxTokensField);
    using reply = await ask({ ...body, accept: "text/event-stream" }, asking, context);
    if (reply.status !== 200) throw await readFailure(reply);
    const answer = new Answer();
    try {
      for await (const data of readAnswer(reply)) {
        const delta = answer.read(data);
        if (delta) yield delta;
        if (answer.isDone) break; // some servers keep the connection open after [DONE]
      }
      reply.release();
    } catch (error) {
      if (!answer.isFinished || context.signal.aborted) throw error; // only the usage is missing
    }
    yield answer.end();
  };
}

// A server that does not stream answers in one piece: that is one event.
async function* readAnswer(reply: Reply): AsyncGenerator<string> {
  const type = reply.headers["content-type"] ?? "";
  if (type.startsWith("text/event-stream")) yield* readEvents(reply.body);
  else if (/^application\/(?:[\w.-]+\+)?json/.test(type)) yield await readText(reply, maxEventChars);
  else throw toProtocolError(`an answer of type ${JSON.stringify(type)}, not text/event-stream: see --url`);
}
