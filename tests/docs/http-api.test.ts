// docs/http-api.md names every route there is, and no other.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createRoutes, routesAt } from "../../packages/frontend/src/server/routes.ts";
import { root } from "../support/cluster.ts";

test("the page of the HTTP API has all routes", () => {
  const page = readFileSync(join(root, "docs/http-api.md"), "utf8");
  const described = [...page.slice(0, page.indexOf("## Fields")).matchAll(/`((?:GET|POST|DELETE) [^`]+)`/g)].map(
    ([, route]) => route,
  );
  const served = routesAt("all", createRoutes({} as never), {} as never).map(
    ({ method, path }) => `${method} ${path.replace("*", "{id}")}`,
  ); // nothing is asked of the parts
  expect(new Set(described)).toEqual(new Set(served));
});
