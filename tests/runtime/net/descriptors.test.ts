// A process without file descriptors says so, once, and goes on when there are some again.
import { expect, test } from "vitest";
import { eventually, startProgram, type Line } from "../../support/cluster.ts";
import { dial } from "../../support/http-client.ts";
import { openDirectory } from "../../support/directory.ts";

const limit = 64;

test("descriptors that are used up are one line, and connections are taken again when there are some", async () => {
  await using directory = await openDirectory("dyn-descriptors-"); // goes after the frontend, which makes its folders in there once it has descriptors again
  const runner = ["sh", "-c", `ulimit -n ${limit}; exec "$@"`, "sh"];
  await using frontend = startProgram(
    "dyn-frontend",
    ["--http-port", "0"],
    { DYN_FILE_KV: directory.path },
    { runner },
  );
  const said = (message: string): Line[] =>
    frontend.lines().filter((line) => String(line["message"]).startsWith(message));
  const [listening] = await eventually(
    "the frontend listening",
    () => said("frontend is listening").length > 0 && said("frontend is listening"),
  );
  const port = Number(listening?.["port"]);
  const clients = Array.from({ length: limit }, () => dial(port));
  await eventually("a line", () => said("file descriptors are used up").length > 0);
  await eventually("some being closed", () => clients.some(({ isClosed }) => isClosed()));
  await eventually("the others being open", () =>
    clients.some(({ isClosed, socket }) => !isClosed() && socket.readyState === "open"),
  );
  for (const client of clients) client[Symbol.dispose]();
  await eventually("the next line", () => said("there are file descriptors again").length > 0);
  using client = dial(port);
  client.socket.write("GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await eventually("an answer", () => client.statuses().length === 1);
  expect(client.statuses()).toEqual([200]);
  expect([said("file descriptors are used up"), said("there are file descriptors again")]).toMatchObject([
    [{ level: "ERROR", error: expect.stringMatching(/^EMFILE: /) }],
    [{ level: "INFO" }],
  ]);
});
