/** Routes of endpoints of one's own. */
import { RuntimeError, type Runtime } from "@dyn/runtime";
import { createRouteTable, type RouteEntry } from "@dyn/runtime/internal";
import { serveExposed, toRefusals, type Exposed } from "../exposed/serve-exposed.ts";
import { refuseInference, type InferenceParts } from "../inference/serve.ts";
import { toExposedPaths } from "../settings/exposed-paths.ts";
import type { FrontendOptions } from "../settings/frontend-options.ts";
import { pagePaths } from "./routes.ts";

/** A client for each of them, which follows its workers; those are pushed to `owned`. */
export function openExposed(
  { expose, routerMode }: Pick<FrontendOptions, "expose" | "routerMode">,
  runtime: Runtime,
  owned: Disposable[],
): readonly Exposed[] {
  return toExposedPaths(expose).map(({ path, address }) => {
    const client = runtime.client<unknown, unknown>(address, { policy: routerMode, inherit: false });
    owned.push(client);
    return { path, address, client };
  });
}

/** @throws RuntimeError `invalid_argument` for a path that is one of `builtIn`. */
export function createExposedRoutes(
  exposed: readonly Exposed[],
  builtIn: readonly RouteEntry[],
  parts: InferenceParts,
): readonly RouteEntry[] {
  const taken = createRouteTable(builtIn);
  return exposed.map((each) => {
    const { path } = each;
    if (taken.has(path) || pagePaths.includes(path))
      throw new RuntimeError(
        "invalid_argument",
        `--expose (DYN_EXPOSE): ${path} is a path of the frontend's own, choose another for ${each.address}`,
      );
    const api = toRefusals(each);
    return {
      method: "POST",
      path,
      kind: "inference",
      takes: "json",
      audience: "clients",
      handle: ({ exchange, body }) => serveExposed(each, exchange, body, parts),
      toErrorBody: (error, { identity }) => api.toErrorBody(error, identity.requestId),
      refuse: (exchange, error) => refuseInference(api, exchange, error, parts),
    };
  });
}
