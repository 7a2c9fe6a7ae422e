// Places an order, and prints what the service wrote and its number.
import { createRuntime } from "@dyn/runtime";

await using runtime = await createRuntime({ environment: process.env });
const orders = runtime.client<object, { note: string; order: string }>("dyn://demo.orders.place");
await orders.waitForInstances({ signal: AbortSignal.timeout(5_000) });
const { note, order } = await orders.call({ customer: "ada", item: "loom" }, { timeoutMs: 2_000 });
console.log(note);
console.log(order);
