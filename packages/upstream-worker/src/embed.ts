/** Vectors of texts, made by the upstream. */
import { isCount, isMap } from "@dyn/runtime/internal";
import { RuntimeError } from "@dyn/runtime";
import type { Embed, EmbeddingRequest, Embeddings } from "@dyn/runtime/llm";
import { ask, readFailure, readText, type Asking } from "./exchange.ts";
import { findToldError, parse, toProtocolError } from "./failures.ts";

/** Of an answer: 2048 vectors of 1500 numbers in decimal. */
const maxAnswerBytes = 64 * 1024 * 1024;

/** `model`: its name there. */
export function createUpstreamEmbed(model: string, asking: Asking): Embed {
  return async (request, context) => {
    const question = { path: "/embeddings", json: toJson(request, model), accept: "application/json" };
    using reply = await ask(question, asking, context);
    if (reply.status === 404 || reply.status === 405) throw toUnimplemented(request, await readFailure(reply));
    if (reply.status !== 200) throw await readFailure(reply);
    const text = await readText(reply, maxAnswerBytes + 1);
    if (text.length > maxAnswerBytes) throw toProtocolError(`embeddings of more than ${maxAnswerBytes} bytes`);
    return toEmbeddings(parse(text), request.inputs.length);
  };
}

function toJson({ inputs, dimensions }: EmbeddingRequest, model: string): string {
  const input = inputs.map(({ text, tokenIds }) => tokenIds ?? text);
  return JSON.stringify({ model, input, ...(dimensions !== undefined && { dimensions }) });
}

// A server that makes none does not know the path.
function toUnimplemented({ model }: EmbeddingRequest, cause: unknown): RuntimeError {
  return new RuntimeError("unimplemented", `model ${JSON.stringify(model)} makes no embeddings`, { cause });
}

function toEmbeddings(given: unknown, inputs: number): Embeddings {
  const told = findToldError(given);
  if (told) throw told;
  const data = isMap(given) ? given["data"] : undefined;
  if (!Array.isArray(data) || data.length !== inputs)
    throw toProtocolError(`no list of ${inputs} embeddings where one was asked for`);
  const vectors: (readonly number[])[] = [];
  for (const [at, each] of (data as readonly unknown[]).entries()) {
    const { embedding, index = at } = isMap(each) ? each : {};
    if (typeof index !== "number" || !(index in data) || !isNumbers(embedding))
      throw toProtocolError("an embedding that is no list of numbers, or of no input");
    vectors[index] = embedding;
  }
  if (Object.keys(vectors).length !== inputs) throw toProtocolError("two embeddings of one input");
  const usage = isMap(given) ? given["usage"] : undefined;
  const promptTokens = isMap(usage) ? usage["prompt_tokens"] : undefined;
  return isCount(promptTokens) ? { vectors, promptTokens } : { vectors };
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((each) => typeof each === "number");
}
