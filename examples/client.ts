// Calls the greeter.
import { createRuntime } from "@dyn/runtime";

await using runtime = await createRuntime({ environment: process.env });
const client = runtime.client<{ name: string }, { word: string }>("dyn://demo.greeter.generate");
await client.waitForInstances({ signal: AbortSignal.timeout(5_000) });
for await (const { word } of client.generate({ name: "ada" }, { timeoutMs: 1_000 })) console.log(word);
