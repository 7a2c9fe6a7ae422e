// A model whose engine makes spans of its own, logs, calls another endpoint, or throws: as the prompt says.
import { context, trace } from "@opentelemetry/api";
import { createRuntime } from "@dyn/runtime";
import { serveModel } from "@dyn/runtime/llm";

await using runtime = await createRuntime({ environment: process.env, shutdownSignals: ["SIGINT", "SIGTERM"] });
const tracer = trace.getTracer("tests");
await runtime.endpoint("dyn://demo.shelf.fetch").serve(async (request: string) => request);
const shelf = runtime.client<string, string>("dyn://demo.shelf.fetch");
await runtime.endpoint("dyn://demo.clerk.ask").serve(async (request: string) => {
  await new Promise((resolve) => setTimeout(resolve, 2));
  return shelf.call(request);
});
const clerk = runtime.client<string, string>("dyn://demo.clerk.ask");
await runtime.endpoint("dyn://demo.helper.generate").serve(async function* (request: string, { log, traceparent }) {
  tracer.startSpan("helper work").end();
  log.info({ traceparent }, "helping");
  yield request;
  await new Promise((resolve) => setTimeout(resolve, 2));
  yield request;
  tracer.startSpan("more helper work").end();
});
const helper = runtime.client<string, string>("dyn://demo.helper.generate");
for (const client of [shelf, clerk, helper]) await client.waitForInstances();

async function ask(signal: AbortSignal): Promise<string> {
  return tracer.startActiveSpan("asking for help", async (span) => {
    let reply = "";
    for await (const word of helper.generate("help", { signal })) reply += word;
    span.end();
    return reply;
  });
}

const serving = await serveModel(
  runtime,
  { model: "spanner", countTokens: (text) => text.length },
  async function* (request, { log, traceparent, signal }) {
    const prompt = request.messages.at(-1)?.text ?? "";
    log.info({ traceparent }, "engine began");
    trace.getActiveSpan()?.setAttribute("tests.prompt", prompt);
    if (prompt === "throw") throw new Error("the engine is broken");
    const outer = tracer.startSpan("before the first token");
    await context.with(trace.setSpan(context.active(), outer), async () => {
      await new Promise((resolve) => setTimeout(resolve, 2));
      tracer.startSpan("inside it").end();
    });
    outer.end();
    yield { text: "one" };
    tracer.startSpan("between tokens").end();
    if (prompt === "call") yield { text: await ask(signal) };
    if (prompt === "call without a word") yield { text: await clerk.call("a book") };
    try {
      if (prompt === "hang")
        await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
      yield { text: " two" };
    } finally {
      tracer.startSpan("on the way out").end();
    }
  },
);
await serving.closed;
