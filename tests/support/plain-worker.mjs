// A worker as a user writes it in plain JavaScript: what the prompt says goes wrong.
import { once } from "node:events";
import { connect } from "node:net";
import { createRuntime, RuntimeError } from "@dyn/runtime";
import { serveModel } from "@dyn/runtime/llm";

await using runtime = await createRuntime({ environment: process.env, shutdownSignals: ["SIGTERM"] });
const serving = await serveModel(runtime, { model: "plain" }, async function* ({ messages }) {
  const prompt = messages.at(-1).text;
  if (prompt === "unknown code") throw new RuntimeError("not-found", "no such document");
  if (prompt === "call") {
    const refused = await once(connect(1, "127.0.0.1"), "connect").catch((error) => error);
    throw new Error("the backend is down", { cause: refused });
  }
  if (prompt === "no text") yield { token: "hello" };
  yield { text: prompt };
});
await serving.closed;
