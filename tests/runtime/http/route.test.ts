// Which route a request is for. tests/e2e/http-answers.test.ts has the answers of the servers themselves.
import { describe, expect, test } from "vitest";
import { createRouteTable, pathOf, type RouteEntry } from "../../../packages/runtime/src/http/route.ts";

function route(method: RouteEntry["method"], path: string): RouteEntry {
  return {
    method,
    path,
    kind: "operator",
    audience: "anybody",
    handle: () => undefined,
    toErrorBody: ({ message }) => message,
  };
}

const table = createRouteTable([
  route("GET", "/"),
  route("GET", "/lamp"),
  route("PUT", "/lamp"),
  route("GET", "/lamps/*"),
  route("GET", "/lamps/all"),
  route("POST", "/lamps/*/off"),
]);

test("a `*` between two others stands for one part", () => {
  expect(find("POST", "/lamps/a/off")).toBe("POST /lamps/*/off a");
  expect(find("GET", "/lamps/a/off")).toBe("only POST");
  expect(["/lamps/off", "/lamps//off", "/lamps/a/b/off"].map((path) => find("GET", path))).toEqual([
    "GET /lamps/* off",
    "GET /lamps/* /off",
    "GET /lamps/* a/b/off",
  ]);
});

/** What a request comes to, in short. */
function find(method: string, url: string): string {
  const found = table.find(method, url);
  if (found.type === "route") return `${found.route.method} ${found.route.path} ${found.rest}`.trim();
  return found.type === "method" ? `only ${found.allowed.join(" ")}` : found.type;
}

describe("a path", () => {
  test.each([
    ["/", "GET /"],
    ["//", "GET /"],
    ["/?lamp", "GET /"],
    ["/lamp", "GET /lamp"],
    ["/lamp/", "GET /lamp"],
    ["/lamp?a=/b/", "GET /lamp"],
    ["/lamp#a", "GET /lamp"],
    ["/l%61mp", "GET /lamp"],
    ["/lamps/a", "GET /lamps/* a"],
    ["/lamps/a/", "GET /lamps/* a"],
    ["/lamps/a//", "GET /lamps/* a/"],
    ["/lamps//", "GET /lamps/*"],
    ["/lamps/a/b", "GET /lamps/* a/b"],
    ["/lamps/a%2Fb", "GET /lamps/* a/b"],
    ["/lamps/%2525", "GET /lamps/* %25"],
    ["/l%61mps/%C3%A9", "GET /lamps/* é"],
    ["/lamps/..", "GET /lamps/* .."],
    ["/lamps/all", "GET /lamps/all"],
  ])("%s is that of %s", (url, expected) => {
    expect(find("GET", url)).toBe(expected);
  });

  test.each(["/LAMP", "/lamp//", "/lamp%2F", "/lamp%3F", "/lamp;a", "/lamp%20", "/lamps", "/lamps/", "*", "", "lamp"])(
    "%s is no route's",
    (url) => {
      expect(find("GET", url)).toBe("path");
    },
  );

  test.each(["/%", "/lamp%zz", "/lamps/%E0%A4%A", "/lamps/%ff", "/nothing/%"])("%s cannot be read", (url) => {
    expect(find("PUT", url)).toBe("unreadable");
  });
});

test("a path that is served under other methods says which: HEAD is wherever GET is", () => {
  expect(find("HEAD", "/lamp")).toBe("GET /lamp");
  expect(find("PUT", "/lamp")).toBe("PUT /lamp");
  expect(find("DELETE", "/lamp")).toBe("only GET HEAD PUT");
  expect(find("PUT", "/lamps/a")).toBe("only GET HEAD");
});

test("a route that is added later is found from then on", () => {
  expect(find("GET", "/later")).toBe("path");
  expect(table.has("/later")).toBe(false);
  table.add(route("GET", "/later"));
  expect(find("GET", "/later")).toBe("GET /later");
  expect([table.has("/later"), table.has("/lamps/x")]).toEqual([true, true]);
});

test("what is shown of a path is as it came, without the / at its end", () => {
  expect(["/a%20b/?c", "/", "*", "/a//"].map(pathOf)).toEqual(["/a%20b", "/", "*", "/a/"]);
});
