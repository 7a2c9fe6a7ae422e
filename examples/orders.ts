// A service that calls another one for each request: the call has the request's ids, its deadline and its cancellation by itself.
import { createRuntime } from "@dyn/runtime";

interface Order {
  readonly customer: string;
  readonly item: string;
}

await using runtime = await createRuntime({ environment: process.env, shutdownSignals: ["SIGINT", "SIGTERM"] });
const greeter = runtime.client<{ name: string }, { word: string }>("dyn://demo.greeter.generate");
const serving = await runtime
  .endpoint("dyn://demo.orders.place")
  .serve(async ({ customer, item }: Order, { requestId }) => {
    const words: string[] = [];
    for await (const { word } of greeter.generate({ name: customer })) words.push(word);
    return { note: `${words.join(" ")}, your ${item} is on its way`, order: requestId };
  });
await serving.closed; // after Ctrl-C, when what runs has finished
