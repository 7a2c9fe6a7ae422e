/** An endpoint of one's own behind a frontend, whose handler each test replaces. */
import { createFrontend, type CreateFrontendOptions, type Frontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime, type Handler, type Runtime } from "@dyn/runtime";

const config = { discoveryBackend: "mem", log: "off" } as const;

export interface Asked {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A string is sent as it is. */
  readonly body?: unknown;
  readonly method?: string;
  readonly signal?: AbortSignal;
}

export interface OwnEndpoint extends AsyncDisposable {
  readonly frontend: Frontend;
  /** Of the frontend. */
  readonly runtime: Runtime;
  handle: Handler<unknown, unknown>;
  ask(asked?: Asked): Promise<Response>;
}

/** Headers that ask for a stream. */
export const events = { accept: "text/event-stream" };

/** `dyn://demo.own.generate` at /v1/own, and nobody at /nobody. */
export async function serveOwn(options: CreateFrontendOptions = {}): Promise<OwnEndpoint> {
  const memorySpace = createMemorySpace();
  const runtime = await createRuntime({ config, memorySpace });
  const worker = await createRuntime({ config, memorySpace });
  await worker.endpoint("dyn://demo.own.generate").serve((request, context) => own.handle(request, context));
  const expose = ["/v1/own=dyn://demo.own.generate", "/nobody=dyn://demo.nobody.generate"];
  const frontend = await createFrontend({ runtime, httpPort: 0, expose, ...options });
  const own: OwnEndpoint = {
    frontend,
    runtime,
    handle: async () => undefined,
    ask({ path = "/v1/own", headers = {}, body = {}, method = "POST", signal } = {}) {
      return fetch(`${frontend.url}${path}`, {
        method,
        headers: { "content-type": "application/json", ...headers },
        ...(method === "POST" && { body: typeof body === "string" ? body : JSON.stringify(body) }),
        ...(signal && { signal }),
      });
    },
    async [Symbol.asyncDispose]() {
      await frontend.close();
      await Promise.all([worker, runtime].map((each) => each.close()));
    },
  };
  return own;
}
