/** What the upstream serves, by its own list. */
import { RuntimeError } from "@dyn/runtime";
import { isModelName, isMap } from "@dyn/runtime/internal";
import { parse, toStatusError } from "./failures.ts";
import { readText } from "./exchange.ts";
import type { UpstreamHttp } from "./http.ts";
import { toModelNames, type ListedModel } from "./options.ts";

export interface Looker {
  readonly http: UpstreamHttp;
  readonly authorize: () => Promise<Readonly<Record<string, string>>>;
  /** As the option of this name. */
  readonly modelName: readonly string[];
}

const maxListBytes = 4 * 1024 * 1024;
/** A hosted API may list hundreds; each one that is served costs a port. */
export const maxModels = 256;

/** Look whether the upstream is well, and what it serves, by the names for clients. A server without a list is well if the models have been named.
 *  @throws RuntimeError saying what is wrong with it. */
export async function look(
  { http, authorize, modelName }: Looker,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ListedModel>> {
  const headers = { accept: "application/json", ...(await authorize()) };
  using reply = await http.ask({ method: "GET", path: "/models", headers, signal });
  const text = await readText(reply, maxListBytes + 1);
  if (Buffer.byteLength(text) > maxListBytes)
    throw new RuntimeError("protocol", `the upstream's list of models has more than ${maxListBytes} bytes`);
  const named = toModelNames(modelName);
  const hasNoList = named.size > 0 && (reply.status === 404 || reply.status === 405);
  if (reply.status !== 200 && !hasNoList) throw toStatusError(reply.status, reply.headers, text);
  const listed = hasNoList ? new Map<string, ListedModel>() : readList(text);
  if (named.size === 0) return toServable(listed);
  return new Map([...named].map(([name, upstream]) => [name, listed.get(upstream) ?? { upstream, contextLength: 0 }]));
}

function toServable(listed: ReadonlyMap<string, ListedModel>): ReadonlyMap<string, ListedModel> {
  if (listed.size === 0)
    throw new RuntimeError("unavailable", "the upstream lists no model: load one there, or name it with --model-name");
  if (listed.size > maxModels)
    throw new RuntimeError(
      "unavailable",
      `the upstream lists ${listed.size} models, more than ${maxModels}: name those to serve with --model-name`,
    );
  return listed;
}

// vLLM says max_model_len, others context_length; llama-server has meta.n_ctx_train.
function readList(text: string): Map<string, ListedModel> {
  const list = parse(text);
  const data = isMap(list) ? list["data"] : undefined;
  if (!Array.isArray(data))
    throw new RuntimeError("protocol", "the upstream's GET /models is no list of models: see --url");
  const models = new Map<string, ListedModel>();
  for (const each of data as readonly unknown[]) {
    if (!isMap(each) || typeof each["id"] !== "string" || !isModelName(each["id"])) continue;
    const { id, max_model_len: vllm, context_length: other, meta } = each;
    const lengths = [vllm, other, isMap(meta) ? meta["n_ctx_train"] : undefined];
    const contextLength = lengths.find((length) => Number.isSafeInteger(length) && Number(length) > 0);
    models.set(id, { upstream: id, contextLength: Number(contextLength ?? 0) });
  }
  return models;
}
