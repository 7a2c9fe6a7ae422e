/** Settings of the mock worker. */
import {
  decimalNumber,
  isModelName,
  maxDimensions,
  maxModelNameLength,
  maxTimerMs,
  numberSetting,
  oneOf,
  optional,
  parseName,
  parsePath,
  plainText,
  wholeNumber,
  type SettingsOf,
} from "@dyn/runtime/internal";
import { formatFaults, parseFaults, type Fault } from "./faults/faults.ts";

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
  /** Time to the first token, ms. Default `0`. */
  readonly ttftMs: number;
  /** Time between tokens, ms. Default `0`. */
  readonly itlMs: number;
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
  /** Faults on purpose, as `parseFaults` makes them. Default `[]`. */
  readonly fault: readonly Fault[];
  /** File of rules for its answers, in JSON or YAML. Default: none, the mock's own rules answer. */
  readonly script: string;
}

const many = 1_000_000;

/** What only the command has: a function of its own starts it in a program. */
export interface CommandOptions {
  /** Port of a frontend in the same process, which serves its workers alone and finds no others; 0 lets the system choose. Default `-1`: there is none. */
  readonly httpPort: number;
}

export const commandSettings: SettingsOf<CommandOptions> = {
  httpPort: numberSetting(
    "DYN_MOCK_HTTP_PORT",
    "http-port",
    -1,
    [-1, 65_535],
    "port of a frontend in the same process, which serves its workers alone and finds no others; 0 lets the system choose; its URL is the one line on standard output; -1 = none",
  ),
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
    parse: decimalNumber(0, maxTimerMs),
    help: "time to the first token, ms",
  },
  itlMs: {
    env: "DYN_MOCK_ITL_MS",
    flag: "itl-ms",
    default: 0,
    parse: decimalNumber(0, maxTimerMs),
    help: "time between tokens, ms",
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
