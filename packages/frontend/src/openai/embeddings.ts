/** POST /v1/embeddings. https://platform.openai.com/docs/api-reference/embeddings */
import { countOf, maxDimensions, maxInputs, type ModelJob } from "@dyn/runtime/internal";
import * as z from "zod";
import type { UnaryApi } from "../inference/api.ts";
import { described } from "../inference/described.ts";
import { embed } from "../inference/embed.ts";
import { FieldError, modelName, parseFields } from "../inference/fields.ts";
import { toErrorBody } from "./errors.ts";
import { promptsField } from "./prompts.ts";
import { shortenFloat } from "./short-floats.ts";

const embeddingsRequest = z.object({
  model: modelName,
  input: described(
    `A text, a list of token ids, or a list of up to ${maxInputs} of either; no empty ones, and at most 1048576 token ids in all. The first item says which of these it is.`,
    promptsField({ max: maxInputs, minChars: 1 }),
  ),
  encoding_format: described(
    "`float`, the default: a list of numbers. `base64`: 32-bit floats, little-endian, which is a third of the size.",
    z.enum(["float", "base64"]).nullish(),
  ),
  dimensions: described(
    "Numbers of each vector. Unless given, as many as the model has. A 501 from a model that cannot.",
    z.int().min(1).max(maxDimensions).nullish(),
  ),
  user: described("Not read.", z.string().nullish()),
});

/** For the document of the API. */
export const embeddingsRequestSchema: z.ZodType = embeddingsRequest;

/** A request for vectors. */
export interface EmbeddingsRequest {
  readonly job: ModelJob;
  readonly encoding: "float" | "base64";
}

export const embeddingsApi: UnaryApi<EmbeddingsRequest> = {
  endpoint: "embeddings",
  fields: { read: new Set(Object.keys(embeddingsRequest.shape)), others: ["nvext"] },
  parse: parseEmbeddingsRequest,
  async answer({ job, encoding }, asking) {
    const inputs = job.prompts?.length ?? 1;
    const { vectors, usage } = await embed(job, asking, {
      write: encoding === "base64" ? toBase64 : toFloats,
      toExcess: (bytes, maxBytes) => toExcess({ bytes, maxBytes, inputs, encoding }),
    });
    const data = vectors.map((vector, index) => `{"object":"embedding","index":${index},"embedding":${vector}}`);
    const counts = { prompt_tokens: usage.promptTokens, total_tokens: usage.promptTokens };
    return `{"object":"list","data":[${data.join(",")}],"model":${JSON.stringify(job.model)},"usage":${JSON.stringify(counts)}}`;
  },
  toErrorBody,
};

function parseEmbeddingsRequest(body: unknown): EmbeddingsRequest {
  const { model, input, encoding_format: encoding, dimensions } = parseFields(embeddingsRequest, body);
  const [prompt] = input;
  return {
    encoding: encoding ?? "float",
    job: {
      model,
      messages: [],
      ...(input.length === 1 ? { prompt } : { prompts: input }),
      stop: [],
      sampling: {},
      embedding: { ...(dimensions != null && { dimensions }) },
    },
  };
}

function toBase64(vector: Uint8Array): string {
  return `"${Buffer.from(vector.buffer, vector.byteOffset, vector.length).toString("base64")}"`;
}

function toFloats(vector: Uint8Array): string {
  const view = new DataView(vector.buffer, vector.byteOffset, vector.length);
  const numbers: number[] = [];
  for (let at = 0; at < vector.length; at += 4) numbers.push(shortenFloat(view.getFloat32(at, true)));
  return JSON.stringify(numbers);
}

interface Excess {
  readonly bytes: number;
  readonly maxBytes: number;
  readonly inputs: number;
  readonly encoding: EmbeddingsRequest["encoding"];
}

function toExcess({ bytes, maxBytes, inputs, encoding }: Excess): FieldError {
  const advice = encoding === "float" ? "send fewer, or ask for base64" : "send fewer";
  const limit = `the limit is ${maxBytes}, set by DYN_HTTP_ANSWER_LIMIT_MB`;
  return new FieldError(
    "input",
    `is too large: ${countOf(inputs, "vector")} of ${bytes} bytes each, ${limit}; ${advice}`,
  );
}
