/** Embeddings: what an engine that makes them is asked, what it answers, and how that travels. */
import { RuntimeError } from "../errors.ts";
import { describeValue } from "../excerpt.ts";
import { partsOf, type RequestContext } from "../handler.ts";
import { isMap } from "../wire/payload.ts";
import type { Delta, ModelJob, Prompt } from "./contract.ts";
import { isCount } from "./deltas.ts";
import { countJobTokens } from "./tokens.ts";

/** Most inputs of one request, as in OpenAI's API. */
export const maxInputs = 2_048;
/** Most numbers of one vector. */
export const maxDimensions = 65_536;

/** Texts to be turned into vectors. Parsed and validated by the frontend. */
export interface EmbeddingRequest {
  readonly model: string;
  /** At least one. */
  readonly inputs: readonly Prompt[];
  /** Numbers that each vector must have. Absent = as many as the model likes. An engine that cannot throws `unimplemented`. */
  readonly dimensions?: number;
}

/** The vectors of a request. */
export interface Embeddings {
  /** One for each input, in their order, all of the same length. */
  readonly vectors: readonly (Float32Array | readonly number[])[];
  /** Tokens of all inputs. Default: words are counted. */
  readonly promptTokens?: number;
}

/** A model that makes embeddings. */
export type Embed = (request: EmbeddingRequest, context: RequestContext) => Embeddings | Promise<Embeddings>;

/** One delta for each vector, `choice` saying of which input; the last one has the usage. */
export async function* runEmbeddings(
  job: ModelJob,
  embed: Embed | undefined,
  context: RequestContext,
): AsyncGenerator<Delta, void, void> {
  if (!embed) throw new RuntimeError("unimplemented", `model ${JSON.stringify(job.model)} makes no embeddings`);
  const inputs = job.prompts ?? (job.prompt ? [job.prompt] : []);
  if (inputs.length === 0) throw new RuntimeError("invalid_argument", "request for embeddings must have a prompt");
  const dimensions = job.embedding?.dimensions;
  const request = { model: job.model, inputs, ...(dimensions !== undefined && { dimensions }) };
  const given: unknown = await embed(request, context);
  const { vectors, promptTokens = countJobTokens(job) } = checkEmbeddings(given, inputs.length);
  partsOf(context).note({ model: job.model, input_tokens: promptTokens });
  let length = dimensions;
  for (const [choice, vector] of vectors.entries()) {
    length = checkLength(job, vector.length, length);
    const embedding = toBytes(vector);
    const usage = choice === vectors.length - 1 ? { promptTokens, completionTokens: 0 } : undefined;
    yield { text: "", choice, embedding, ...(usage && { usage }) };
  }
}

function checkEmbeddings(given: unknown, inputs: number): Embeddings {
  if (!isMap(given)) throw toFault(`an object with vectors, it gave ${describeValue(given)}`);
  const { vectors, promptTokens } = given;
  if (!isVectors(vectors)) throw toFault(`vectors that are lists of numbers, it gave ${describeValue(vectors)}`);
  if (vectors.length !== inputs) throw toFault(`one vector for each of ${inputs} inputs, it gave ${vectors.length}`);
  if (promptTokens === undefined) return { vectors };
  if (!isCount(promptTokens))
    throw toFault(`promptTokens that is a whole number from 0, it gave ${describeValue(promptTokens)}`);
  return { vectors, promptTokens };
}

function isVectors(value: unknown): value is Embeddings["vectors"] {
  return Array.isArray(value) && value.every((each) => each instanceof Float32Array || Array.isArray(each));
}

// What a client asked for and the model cannot is said to the client, what is uneven is the engine's fault.
function checkLength({ model, embedding }: ModelJob, length: number, wanted: number | undefined): number {
  if (length < 1 || length > maxDimensions)
    throw toFault(`vectors of 1 to ${maxDimensions} numbers, it gave one of ${length}`);
  if (length === (wanted ?? length)) return length;
  if (wanted !== embedding?.dimensions) throw toFault(`vectors of one length, it gave ${wanted} and ${length} numbers`);
  throw new RuntimeError(
    "unimplemented",
    `the engine of model ${JSON.stringify(model)} makes embeddings of ${length} numbers, dimensions asks for ${wanted}`,
  );
}

// 32-bit floats, little-endian, on any machine.
function toBytes(vector: Float32Array | readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * vector.length);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < vector.length; at += 1) {
    const value: unknown = vector[at];
    if (typeof value !== "number" || !Number.isFinite(Math.fround(value)))
      throw toFault(`vectors of 32-bit floats, it gave ${describeValue(value)}`);
    view.setFloat32(4 * at, value, true);
  }
  return bytes;
}

function toFault(expected: string): RuntimeError {
  return new RuntimeError("internal", `embed must give ${expected}`);
}

/** True for a vector as it travels: 32-bit floats, none of them infinite or no number. */
export function isVector(value: unknown): value is Uint8Array {
  if (!(value instanceof Uint8Array) || value.length === 0 || value.length > 4 * maxDimensions) return false;
  if (value.length % 4 !== 0) return false;
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  for (let at = 0; at < value.length; at += 4) if (!Number.isFinite(view.getFloat32(at, true))) return false;
  return true;
}
