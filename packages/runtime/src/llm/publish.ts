/** The card of a served model: published once its endpoint is there, withdrawn before that ends. */
import type { EndpointAddress, ModelRecord } from "../discovery/records.ts";
import { formatAddress } from "../discovery/records.ts";
import type { Serving } from "../endpoint.ts";
import { once } from "../lifetime.ts";
import { loggerOf } from "../logging/logger.ts";
import type { Runtime } from "../runtime.ts";
import { toModelRecord, type CardOptions } from "./model-card.ts";

/** Publish the card of what `serving` serves at `address`. @returns the serving, which ends with its card. */
export async function publish(
  runtime: Runtime,
  serving: Serving,
  address: EndpointAddress,
  options: CardOptions,
): Promise<Serving> {
  const { instanceId } = serving;
  const card = await publishCard(runtime, toModelRecord(address, instanceId, options), serving);
  const { model, role } = options;
  loggerOf(runtime.log)
    .child({ target: "dyn_runtime::llm" })
    .info({ model, role, endpoint: formatAddress(address), instance_id: instanceId }, "model is serving");
  return withCard(card, serving, runtime);
}

// A drain of the whole runtime knows the endpoint only: the model must not stay listed while it lasts.
function withCard(card: AsyncDisposable, serving: Serving, runtime: Runtime): Serving {
  const onDrain = (): void => void withdraw(card, runtime);
  runtime.draining.addEventListener("abort", onDrain, { once: true });
  const close = once(() => {
    runtime.draining.removeEventListener("abort", onDrain);
    void withdraw(card, runtime).then(() => void serving.close());
    return serving.closed;
  });
  return { ...serving, close, [Symbol.asyncDispose]: close };
}

// An endpoint without its card is a model that nobody finds.
async function publishCard(runtime: Runtime, record: ModelRecord, serving: Serving): Promise<AsyncDisposable> {
  try {
    return await runtime.discovery.publish(record);
  } catch (error) {
    await serving.close();
    throw error;
  }
}

async function withdraw(card: AsyncDisposable, { log }: Runtime): Promise<void> {
  try {
    await card[Symbol.asyncDispose]();
  } catch (error) {
    loggerOf(log).child({ target: "dyn_runtime::llm" }).warn({ error }, "model card could not be withdrawn");
  }
}
