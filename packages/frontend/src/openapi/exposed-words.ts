/** What is said of endpoints of one's own. */
import { errorTable } from "@dyn/runtime/internal";
import type { JsonSchema } from "../inference/described.ts";
import type { ExposedPath } from "../settings/exposed-paths.ts";
import { inferenceCodes } from "./inference-words.ts";
import type { RouteWords } from "./words.ts";

/** Their records do not say what requests and items are: both may be any JSON. */
export const exposedSchemas: Readonly<Record<string, JsonSchema>> = {
  EndpointRequest: { description: "Any JSON that the endpoint takes." },
  EndpointAnswer: { description: "The item, if the endpoint has given one; else the list of all items." },
  EndpointItem: { description: "Any JSON." },
  EndpointEnd: {
    type: "object",
    properties: { items: { type: "integer", minimum: 0, description: "So many have come before." } },
    required: ["items"],
  },
  EndpointError: {
    type: "object",
    properties: {
      error: {
        type: "object",
        properties: {
          code: { type: "string", enum: Object.keys(errorTable) },
          message: { type: "string", description: "What is wrong, with names and limits." },
          param: { type: "string", description: "What of the request is wrong." },
          reason: { type: "string", description: "The endpoint's own word for it." },
          details: { type: "object", description: "Facts that the endpoint has given.", additionalProperties: {} },
        },
        required: ["code", "message"],
      },
      request_id: { type: "string", description: "Ours: every log line of the request has it." },
    },
    required: ["error", "request_id"],
  },
};

export function toExposedWords({ path, address }: ExposedPath): RouteWords {
  return {
    id: `call${path.replaceAll(/[^A-Za-z0-9]+/g, "_")}`,
    tag: "Endpoints",
    summary: `Call ${address}`,
    description:
      "The body goes to the endpoint as it is. With `accept: text/event-stream`, or `stream: true` in the body, its items come as a stream, each when the endpoint gives it; else they come in one piece when all are there.",
    headers: ["RequestTimeout", "WorkerInstance", "ContentEncoding"],
    body: { schema: "EndpointRequest", examples: { "an object": { name: "world" } } },
    answers: [
      {
        status: 200,
        description: "What the endpoint has given.",
        json: "EndpointAnswer",
        stream: {
          events: [
            { data: { schema: "EndpointItem" }, when: "for each item" },
            { event: "end", data: { schema: "EndpointEnd" }, when: "at the end of an answer that is whole" },
            { event: "error", data: { schema: "EndpointError" }, when: "at the end of an answer that has failed" },
          ],
          example: 'data: {"word":"hello"}\n\nevent: end\ndata: {"items":1}\n\n',
        },
      },
    ],
    shape: "endpoint",
    codes: inferenceCodes,
  };
}
