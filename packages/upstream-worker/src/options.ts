/** Settings of the upstream worker. */
import { RuntimeError } from "@dyn/runtime";
import {
  isModelName,
  maxModelNameLength,
  maxTimerMs,
  oneOf,
  parseName,
  parsePath,
  plainText,
  wholeNumber,
  type SettingsOf,
} from "@dyn/runtime/internal";
import type { Capability } from "@dyn/runtime/llm";

/** A model to serve. */
export interface ListedModel {
  /** Its name at the upstream. */
  readonly upstream: string;
  /** Tokens of prompt and completion together; 0 = not said. */
  readonly contextLength: number;
}

export interface UpstreamOptions {
  /** Where the upstream's API begins, such as `http://127.0.0.1:11434/v1`. Default: none, it must be given. */
  readonly url: string;
  /** Models to serve: `NAME`, or `NAME=UPSTREAM` for one that the upstream calls otherwise. Default `[]`: all that the upstream lists, by their names. */
  readonly modelName: readonly string[];
  /** File with the upstream's API key, read again for each request. Default: no key is sent. */
  readonly apiKeyFile: string;
  /** Namespace of the endpoint. Default `dynamo`. */
  readonly namespace: string;
  /** Component of the endpoint. Default `backend`. */
  readonly component: string;
  /** Name of the endpoint. Default `generate`. */
  readonly endpoint: string;
  /** What the upstream's models can do beyond text. `reasoning` is for models that take `reasoning_effort`, `logprobs` for servers that have them. Default `["tools","images","audio","files","schemas"]`: what a model cannot do, the upstream refuses. */
  readonly capabilities: readonly Capability[];
  /** Tokens of prompt and completion together. Default `0`: what the upstream's list says, if it says it. */
  readonly contextLength: number;
  /** Field that says how long an answer may be: `max_tokens`, or `max_completion_tokens` for OpenAI's reasoning models. Default `max_tokens`. */
  readonly maxTokensField: "max_tokens" | "max_completion_tokens";
  /** Longest time for a connection to the upstream, ms. Default `5000`. */
  readonly connectTimeoutMs: number;
  /** Longest wait for the first byte of an answer's body, ms: queueing and the prompt are in it. Default `300000`. */
  readonly firstByteTimeoutMs: number;
  /** Longest silence in an answer that has begun, ms. Default `60000`. */
  readonly idleTimeoutMs: number;
  /** From one look at the upstream to the next, ms. Default `5000`. */
  readonly healthIntervalMs: number;
}

// Clients ask for thinking whatever the model is, and many upstreams refuse that for models that do not think. Many ignore logprobs.
const usual = ["tools", "images", "audio", "files", "schemas"] as const satisfies readonly Capability[];
const every = [...usual, "reasoning", "logprobs"] as const satisfies readonly Capability[];

/** One entry per option; flag over variable over default. */
export const upstreamSettings: SettingsOf<UpstreamOptions> = {
  url: {
    env: "DYN_UPSTREAM_URL",
    flag: "url",
    default: "",
    parse: parseUrl,
    help: "where the upstream's API begins, such as http://127.0.0.1:11434/v1",
  },
  modelName: {
    env: "DYN_MODEL_NAME",
    flag: "model-name",
    default: [],
    shownDefault: "",
    parse: parseModelNames,
    check: (given) => void toModelNames(given),
    help: "models to serve, separated by commas: NAME, or NAME=UPSTREAM for one that the upstream calls otherwise; if empty, all that it lists",
  },
  apiKeyFile: {
    env: "DYN_UPSTREAM_API_KEY_FILE",
    flag: "api-key-file",
    default: "",
    parse: parsePath,
    help: "file with the upstream's API key, read again for each request; if empty, no key is sent",
  },
  namespace: {
    env: "DYN_NAMESPACE",
    flag: "namespace",
    default: "dynamo",
    parse: parseName,
    help: "namespace of the endpoint",
  },
  component: {
    env: "DYN_COMPONENT",
    flag: "component",
    default: "backend",
    parse: parseName,
    help: "component of the endpoint",
  },
  endpoint: {
    env: "DYN_ENDPOINT",
    flag: "endpoint",
    default: "generate",
    parse: parseName,
    help: "name of the endpoint",
  },
  capabilities: {
    env: "DYN_UPSTREAM_CAPABILITIES",
    flag: "capabilities",
    default: usual,
    shownDefault: usual.join(","),
    parse: parseCapabilities,
    check: (given) => void parseCapabilities(given.join(",")),
    help: "what its models can do beyond text, separated by commas: tools, images, audio, files, schemas, reasoning (they take reasoning_effort), logprobs",
  },
  contextLength: {
    env: "DYN_UPSTREAM_CONTEXT_LENGTH",
    flag: "context-length",
    default: 0,
    parse: wholeNumber(0, Number.MAX_SAFE_INTEGER),
    help: "tokens of prompt and completion together, shown by /v1/models; 0 = what the upstream's list says",
  },
  maxTokensField: {
    env: "DYN_UPSTREAM_MAX_TOKENS_FIELD",
    flag: "max-tokens-field",
    default: "max_tokens",
    parse: oneOf("max_tokens", "max_completion_tokens"),
    help: "field that says how long an answer may be; OpenAI's reasoning models take max_completion_tokens alone",
  },
  connectTimeoutMs: {
    env: "DYN_UPSTREAM_CONNECT_TIMEOUT_MS",
    flag: "connect-timeout-ms",
    default: 5_000,
    parse: wholeNumber(1, maxTimerMs),
    help: "longest time for a connection to the upstream, ms",
  },
  firstByteTimeoutMs: {
    env: "DYN_UPSTREAM_FIRST_BYTE_TIMEOUT_MS",
    flag: "first-byte-timeout-ms",
    default: 300_000,
    parse: wholeNumber(1, maxTimerMs),
    help: "longest wait for the first byte of an answer's body, ms; queueing and the prompt are in it",
  },
  idleTimeoutMs: {
    env: "DYN_UPSTREAM_IDLE_TIMEOUT_MS",
    flag: "idle-timeout-ms",
    default: 60_000,
    parse: wholeNumber(1, maxTimerMs),
    help: "longest silence in an answer that has begun, ms",
  },
  healthIntervalMs: {
    env: "DYN_UPSTREAM_HEALTH_INTERVAL_MS",
    flag: "health-interval-ms",
    default: 5_000,
    parse: wholeNumber(10, maxTimerMs),
    help: "from one look at the upstream to the next, ms; while it does not answer, its models are not served",
  },
};

/** @throws RuntimeError `invalid_argument` without a URL. */
export function assertUrl({ url }: UpstreamOptions): void {
  if (url !== "") return;
  const example = "--url http://127.0.0.1:11434/v1";
  throw new RuntimeError("invalid_argument", `say where the upstream's API begins, for example ${example}`);
}

function parseUrl(text: string): string {
  if (text.trim() === "") return ""; // said by assertUrl, which has an example
  const url = URL.parse(plainText(text));
  if (!url || (url.protocol !== "http:" && url.protocol !== "https:"))
    throw new Error("expected the address of an API, such as http://127.0.0.1:11434/v1");
  if (url.username !== "" || url.password !== "")
    throw new Error("expected no name and password in it: give --api-key-file");
  if (url.search !== "" || url.hash !== "") throw new Error("expected no ? and no # in it");
  return url.href.replace(/\/+$/, "");
}

function parseModelNames(text: string): readonly string[] {
  const words = plainText(text)
    .split(",")
    .map((each) => each.trim());
  const given = words.filter((each) => each !== "");
  toModelNames(given);
  return given;
}

/** What the upstream calls each model, by its name for clients. @throws Error saying what was expected. */
export function toModelNames(given: readonly string[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const each of given) {
    const end = each.indexOf("=");
    const name = (end < 0 ? each : each.slice(0, end)).trim();
    const upstream = each.slice(end + 1).trim();
    for (const part of [name, upstream])
      if (!isModelName(part)) throw new Error(`expected names of 1 to ${maxModelNameLength} characters`);
    if (names.has(name)) throw new Error("expected each name once");
    names.set(name, upstream);
  }
  return names;
}

function parseCapabilities(text: string): readonly Capability[] {
  const words = text.split(",").filter((each) => each.trim() !== "");
  return words.map(oneOf(...every));
}
