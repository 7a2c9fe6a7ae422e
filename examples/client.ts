// client.ts
import { createRuntime } from "@dyn/runtime";
await using runtime = await createRuntime();
const client = runtime.client<{ name: string }, { word: string }>("dyn://demo.greeter.generate");
await client.waitForInstances({ count: 1, signal: AbortSignal.timeout(5_000) });
for await (const item of client.generate({ name: "ada" }, { signal: AbortSignal.timeout(1_000) })) console.log(item.word);
