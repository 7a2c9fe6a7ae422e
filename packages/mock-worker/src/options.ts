/** Settings of the mock worker. */
import {
  decimalNumber,
  isModelName,
  maxDimensions,
  maxModelNameLength,
  numberSetting,
  oneOf,
  optional,
  parseName,
  parsePath,
  plainText,
  wholeNumber,
  type SettingsOf,
} from "@dyn/runtime/internal";
import type { CallMode } from "./answers/tool-calls.ts";
import { formatFaults, parseFaults, type Fault } from "./faults/faults.ts";
import { parseTimes } from "./pace/times.ts";

export interface MockOptions {
  /** Name clients use for the model. Default `mock`. */
  readonly modelName: string;
  /** Namespace of the endpoint. Default `dynamo`. */
  readonly namespace: string;
  /** Component of the endpoint. Default: `prefill` for prefill workers, `backend` for all others. */
  readonly component: string;
  /** Name of the endpoint. Default `generate`. */
  readonly endpoint: string;
  /** What the workers do of a request: all of it (`agg`), only the prompt (`prefill`), or what comes after it (`decode`). Default `agg`. */
  readonly disaggregationMode: "agg" | "prefill" | "decode";
  /** Workers in this process, each an instance with a port of its own. Default `1`. */
  readonly numWorkers: number;
  /** Completions a worker runs at a time; further ones wait their turn. Default `256`. */
  readonly maxNumSeqs: number;
  /** Time to the first token, ms; `"normal(200,50)"` and `"lognormal(200,50)"` are times with that mean and standard deviation. Default `0`. */
  readonly ttftMs: number | string;
  /** Time between tokens, ms, in the same forms. Default `0`. */
  readonly itlMs: number | string;
  /** Tokens of a prompt that are read in a second: their time comes before the first token. `0` = no time. Default `0`. */
  readonly prefillTokensPerS: number;
  /** Divides all times; 0 means no delay at all. Default `1`. */
  readonly speedupRatio: number;
  /** The same seed and prompt give the same token ids. Default `0`. */
  readonly seed: number;
  /** Tokens that it thinks before each answer, unless a request says otherwise. Default `0`. */
  readonly reasoningTokens: number;
  /** Numbers of the vector of an embedding, unless a request says how many; 0 = it makes none. Default `384`. */
  readonly embeddingDimensions: number;
  /** How often a request may go on at another worker after one has failed; 0 = never. Default `3`. */
  readonly migrationLimit: number;
  /** When it calls tools: if the client insists or a line `/call` says so (`forced`), also if the user speaks of one (`auto`), also if there is one and no result yet (`always`), or `never`. Default `auto`. */
  readonly toolCalls: CallMode;
  /** Faults on purpose, as `parseFaults` makes them. Default `[]`. */
  readonly fault: readonly Fault[];
  /** File of rules for its answers, in JSON or YAML. Default: none, the mock's own rules answer. */
  readonly script: string;
  /** Requests of late that are kept, with their answers, for `requests()`; 0 = none. Default `100`. */
  readonly keepRequests: number;
}

const many = 1_000_000;

/** What only the command has: a function of its own starts it in a program. */
export interface CommandOptions {
  /** Port of a frontend in the same process, which serves its workers alone and finds no others; 0 lets the system choose. Default `-1`: there is none. */
  readonly httpPort: number;
  /** Where the API of a server of OpenAI's kind begins, which is asked what no rule of `script` is for, and whose answers are added to that file. Default: none is asked. */
  readonly record: string;
  /** What that server calls the model. Default: as `modelName`. */
  readonly recordModel: string;
  /** File with that server's API key, read again for each request. Default: no key is sent. */
  readonly recordApiKeyFile: string;
}

export const commandSettings: SettingsOf<CommandOptions> = {
  httpPort: numberSetting(
    "DYN_MOCK_HTTP_PORT",
    "http-port",
    -1,
    [-1, 65_535],
    "port of a frontend in the same process, which serves its workers alone and finds no others; 0 lets the system choose; its URL is the one line on standard output; -1 = none",
  ),
  record: {
    env: "DYN_MOCK_RECORD",
    flag: "record",
    default: "",
    parse: plainText,
    help: "where the API of a server of OpenAI's kind begins, such as http://127.0.0.1:11434/v1: it is asked what no rule of --script is for, and its answers are added to that file; if empty, none is asked",
  },
  recordModel: {
    env: "DYN_MOCK_RECORD_MODEL",
    flag: "record-model",
    default: "",
    parse: optional(parseModelName),
    help: "what that server calls the model; if empty, as --model-name",
  },
  recordApiKeyFile: {
    env: "DYN_MOCK_RECORD_API_KEY_FILE",
    flag: "record-api-key-file",
    default: "",
    parse: parsePath,
    help: "file with that server's API key, read again for each request; if empty, no key is sent",
  },
};

/** One entry per option; flag over variable over default. */
export const mockSettings: SettingsOf<MockOptions> = {
  modelName: {
    env: "DYN_MODEL_NAME",
    flag: "model-name",
    default: "mock",
    parse: parseModelName,
    check: () => undefined, // serveModel takes any text, and says what is wrong with others
    help: "name clients use for the model",
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
    default: "",
    parse: optional(parseName),
    help: "component of the endpoint; if empty, prefill for prefill workers and backend for all others",
  },
  endpoint: {
    env: "DYN_ENDPOINT",
    flag: "endpoint",
    default: "generate",
    parse: parseName,
    help: "name of the endpoint",
  },
  disaggregationMode: {
    env: "DYN_MOCK_DISAGGREGATION_MODE",
    flag: "disaggregation-mode",
    default: "agg",
    parse: oneOf("agg", "prefill", "decode"),
    help: "what the workers do of a request: all of it (agg), only the prompt (prefill), or what comes after it (decode)",
  },
  numWorkers: {
    env: "DYN_MOCK_NUM_WORKERS",
    flag: "num-workers",
    default: 1,
    parse: wholeNumber(1, 1_000),
    help: "workers in this process, each an instance with a port of its own",
  },
  maxNumSeqs: {
    env: "DYN_MOCK_MAX_NUM_SEQS",
    flag: "max-num-seqs",
    default: 256,
    parse: wholeNumber(1, many),
    help: "completions a worker runs at a time, n of them for each prompt of a request; further ones wait their turn, requests up to --request-queue-limit",
  },
  ttftMs: {
    env: "DYN_MOCK_TTFT_MS",
    flag: "ttft-ms",
    default: 0,
    parse: parseTimes,
    takesText: true,
    help: "time to the first token, ms; normal(MEAN,SD) and lognormal(MEAN,SD) vary it",
  },
  itlMs: {
    env: "DYN_MOCK_ITL_MS",
    flag: "itl-ms",
    default: 0,
    parse: parseTimes,
    takesText: true,
    help: "time between tokens, ms; normal(MEAN,SD) and lognormal(MEAN,SD) vary it",
  },
  prefillTokensPerS: {
    env: "DYN_MOCK_PREFILL_TOKENS_PER_S",
    flag: "prefill-tokens-per-s",
    default: 0,
    parse: decimalNumber(0, 1e9),
    help: "tokens of a prompt that are read in a second, before the first token; 0 = no time for that",
  },
  speedupRatio: {
    env: "DYN_MOCK_SPEEDUP_RATIO",
    flag: "speedup-ratio",
    default: 1,
    parse: decimalNumber(0, 1e9),
    help: "divides all times; 0 means no delay at all",
  },
  seed: {
    env: "DYN_MOCK_SEED",
    flag: "seed",
    default: 0,
    parse: wholeNumber(0, 0xffff_ffff),
    help: "same seed and prompt, same token ids",
  },
  reasoningTokens: {
    env: "DYN_MOCK_REASONING_TOKENS",
    flag: "reasoning-tokens",
    default: 0,
    parse: wholeNumber(0, many),
    help: "tokens that it thinks before each answer; a request may ask for less, and for more with /think N in what the user says",
  },
  embeddingDimensions: {
    env: "DYN_MOCK_EMBEDDING_DIMENSIONS",
    flag: "embedding-dimensions",
    default: 384,
    parse: wholeNumber(0, maxDimensions),
    help: "numbers of the vector of an embedding, unless a request says how many; 0 = it makes none",
  },
  migrationLimit: {
    env: "DYN_MIGRATION_LIMIT",
    flag: "migration-limit",
    default: 3,
    parse: wholeNumber(0, 100),
    help: "how often a request may go on at another worker after one has failed; 0 = never",
  },
  toolCalls: {
    env: "DYN_MOCK_TOOL_CALLS",
    flag: "tool-calls",
    default: "auto",
    parse: oneOf("forced", "auto", "always", "never"),
    help: "when it calls tools: if the client insists (forced), also if the user speaks of one (auto), also if there is one and no result yet (always), or never",
  },
  fault: {
    env: "DYN_MOCK_FAULT",
    flag: "fault",
    default: [],
    parse: parseFaults,
    check: checkFaults,
    help: "faults on purpose: KIND[:ARG][@TOKENS][%RATE], separated by commas; error:CODE, delay:MS, hang, crash, cut, garbage",
  },
  script: {
    env: "DYN_MOCK_SCRIPT",
    flag: "script",
    default: "",
    parse: parsePath,
    help: "file of rules for its answers, in JSON or YAML (docs/mock-worker.md); if empty, its own rules answer",
  },
  keepRequests: {
    env: "DYN_MOCK_KEEP_REQUESTS",
    flag: "keep-requests",
    default: 100,
    parse: wholeNumber(0, 10_000),
    help: "requests of late that are kept, with their answers, for GET /requests of the system server; 0 = none",
  },
};

// Programs may give their text.
function checkFaults(faults: readonly Fault[]): void {
  parseFaults(formatFaults(faults));
}

function parseModelName(text: string): string {
  const name = plainText(text);
  if (!isModelName(name)) throw new Error(`expected 1 to ${maxModelNameLength} characters`);
  return name;
}
