/** The official Python clients, in a process of their own that makes the calls a test asks for. */
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { toClasses, type Answer, type Ask, type Failure, type OnText, type SdkClient } from "./client.ts";
import { preparePython } from "./python/environment.ts";

const home = join(dirname(fileURLToPath(import.meta.url)), "python");

/** What a call raised in Python. */
export class PythonError extends Error {
  override readonly name = "PythonError";
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(`${failure.name}: ${failure.message}`);
    this.failure = failure;
  }
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onText?: OnText | undefined;
}

export interface Python extends AsyncDisposable {
  readonly clients: readonly SdkClient[];
  /** Run a coroutine of tests/e2e/sdk/python/…_calls.py. @throws PythonError with what it raised. */
  call<Result>(client: "openai" | "anthropic", op: string, ask: unknown, options?: CallOptions): Promise<Result>;
}

interface Message {
  readonly id: number;
  readonly text?: string;
  readonly answer?: unknown;
  readonly failure?: { readonly [Name in keyof Failure]: Failure[Name] | null };
}

interface Waiting {
  readonly onText: OnText | undefined;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

function toFailure({ name, message, ...rest }: NonNullable<Message["failure"]>): Failure {
  const { status, type, code, param, requestId } = rest;
  return {
    name: name ?? "",
    message: message ?? "",
    status: status ?? undefined,
    type: type ?? undefined,
    code: code ?? undefined,
    param: param ?? undefined,
    requestId: requestId ?? undefined,
  };
}

/** Start it. The first start on a machine installs the clients. */
export async function startPython(url: string): Promise<Python> {
  const interpreter = await preparePython();
  const child = spawn(interpreter, [join(home, "driver.py"), url], {
    stdio: ["pipe", "pipe", "inherit"],
    env: {
      ...process.env,
      // The calls go to this machine, what is imported is what was installed, and it is compiled once.
      NO_PROXY: "127.0.0.1",
      PYTHONPATH: "",
      PYTHONDONTWRITEBYTECODE: "",
      PYTHONPYCACHEPREFIX: join(dirname(interpreter), "../pycache"),
    },
  });
  const waiting = new Map<number, Waiting>();
  const ready = Promise.withResolvers<void>();
  const exited = new Promise<void>((resolve) => {
    child.once("close", (code) => {
      const error = new Error(`the Python driver ended with ${code}`);
      ready.reject(error);
      for (const { reject } of waiting.values()) reject(error);
      resolve();
    });
  });
  let lastId = 0;
  createInterface({ input: child.stdout }).on("line", (line) => {
    const { id, text, answer, failure } = JSON.parse(line) as Message;
    if (id === 0) return ready.resolve();
    const call = waiting.get(id);
    if (text !== undefined) return call?.onText?.(text);
    waiting.delete(id);
    if (failure) return call?.reject(new PythonError(toFailure(failure)));
    return call?.resolve(answer);
  });
  const send = (message: unknown): void => void child.stdin.write(`${JSON.stringify(message)}\n`);
  const call = <Result>(
    client: string,
    op: string,
    ask: unknown,
    { signal, onText }: CallOptions = {},
  ): Promise<Result> => {
    const id = (lastId += 1);
    signal?.addEventListener("abort", () => waiting.has(id) && send({ id, cancel: true }), { once: true });
    return new Promise<Result>((resolve, reject) => {
      waiting.set(id, { onText, resolve: resolve as Waiting["resolve"], reject });
      send({ id, client, op, ask });
    });
  };
  await ready.promise;
  const toClient = (client: "openai" | "anthropic"): SdkClient => ({
    name: `${client} (Python)`,
    api: client,
    readsClientId: { answers: client === "openai", errors: client === "openai" },
    classes:
      client === "openai"
        ? toClasses("APIStatusError", "InternalServerError")
        : toClasses("ContentTooLargeError", "ServiceUnavailableError"),
    toFailure: (error) => (error as PythonError).failure,
    complete: ({ signal, ...ask }: Ask) => call<Answer>(client, "complete", ask, { signal }),
    stream: ({ signal, ...ask }: Ask, onText) => call<Answer>(client, "stream", ask, { signal, onText }),
  });
  return {
    clients: [toClient("openai"), toClient("anthropic")],
    call,
    async [Symbol.asyncDispose]() {
      child.kill();
      await exited;
    },
  };
}
