// How long calls take and how they end, at whichever end it stands. The series are on the runtime's page once their registry is:
// `runtime.metrics.registry.include(registry)`.
import { toRuntimeError, type Interceptor } from "@dyn/runtime";
import { Counter, Histogram, type Registry } from "@prometheus-io/client";

/** One for all that is to be counted together, for example `createRuntime({ interceptors: [measured(registry)] })`. */
export function measured(registry: Registry): Interceptor {
  const registers = [registry];
  const seconds = new Histogram({
    name: "call_seconds",
    help: "Time from the beginning of a call to its end",
    labelNames: ["side", "address", "outcome"],
    registers,
  });
  const items = new Counter({
    name: "call_items_total",
    help: "Items of calls",
    labelNames: ["side", "address"],
    registers,
  });
  return (next) =>
    async function* (call) {
      const labels = { side: call.side, address: call.address };
      const end = seconds.startTimer(labels);
      let outcome = "left"; // unless it comes to an end by itself
      try {
        for await (const item of next(call)) {
          items.inc(labels);
          yield item;
        }
        outcome = "success";
      } catch (error) {
        outcome = toRuntimeError(error).code;
        throw error;
      } finally {
        end({ outcome });
      }
    };
}
