/** The end of an endpoint that takes no more requests. */
import { RuntimeError } from "../errors.ts";
import type { EndReport } from "../end-report.ts";
import { within } from "../lifetime.ts";
import type { Logger } from "../logging/logger.ts";
import type { EndpointRegistration } from "./served-endpoints.ts";

/** How long requests that are cut may take to say so, ms. */
const lastWordsMs = 1_000;

/** Of one endpoint. `timeoutMs`: how long requests that run may take to end by themselves. */
export interface DrainOptions {
  readonly path: string;
  readonly timeoutMs: number;
  readonly log: Logger;
  /** Where its requests are counted. */
  readonly report: EndReport;
}

/** Wait for what is running, and cut what is left when the time is over. */
export async function drainEndpoint(
  served: EndpointRegistration,
  { path, timeoutMs, log, report }: DrainOptions,
): Promise<void> {
  report.count({ running: served.running(), cut: 0 });
  if (await within(served.idle(), timeoutMs)) return;
  report.count({ running: 0, cut: served.running() });
  log.warn({ endpoint: path, drain_timeout_ms: timeoutMs }, "drain timed out, running requests are killed");
  served.kill(new RuntimeError("unavailable", "the worker is shutting down"));
  await within(served.idle(), lastWordsMs);
}
