/** What the routes for operators answer, for the document of the API. */
import * as z from "zod";

const discovery = z
  .union([
    z.object({ state: z.literal("listing") }),
    z.object({ state: z.literal("degraded"), reason: z.string(), since: z.iso.datetime() }),
  ])
  .optional()
  .describe("Whether workers can be looked for. For operators alone.");

const since = z.iso.datetime();
const checks = z
  .record(
    z.string(),
    z.union([
      z.object({ state: z.literal("pending") }),
      z.object({ state: z.literal("passing"), since }),
      z.object({ state: z.literal("failing"), reason: z.string(), since }),
    ]),
  )
  .optional()
  .describe("What the health checks of the program said last, by name. For operators alone.");
const version = z.string().optional().describe("Of this frontend. For operators alone.");

const instance = z.object({
  namespace: z.string(),
  component: z.string(),
  endpoint: z.string(),
  instance_id: z.string().describe("Decimal, of 64 bits."),
  transport: z.object({ tcp: z.string() }),
});

export const operatorAnswers: Readonly<Record<string, z.ZodType>> = {
  Health: z.object({
    status: z.literal("healthy"),
    version,
    endpoints: z.array(z.string()).optional().describe("Addresses of endpoints. For operators alone, as what follows."),
    instances: z.array(instance).optional().describe("All that discovery shows, also of other endpoints."),
    models: z.array(z.string()).optional().describe("Names of models that are served."),
    checks,
    discovery,
  }),
  NotReady: z.object({
    status: z.literal("not_ready"),
    stage: z
      .enum(["draining", "starting", "degraded", "unhealthy"])
      .describe(
        "`draining`: it is about to end. `starting`: it could not look for workers yet, or a health check of the program has not ended. `degraded`: it knows no model, and cannot look for one. `unhealthy`: a health check of the program fails.",
      ),
    message: z.string(),
    version,
    checks,
    discovery,
  }),
  Live: z.object({ status: z.literal("live"), message: z.string(), discovery }),
  Index: z.object({ name: z.literal("dyn-frontend"), message: z.string(), routes: z.array(z.string()) }),
};
