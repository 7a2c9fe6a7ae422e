// A frontend and a mock worker by one call, in the process of a test.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI, { APIConnectionError } from "openai";
import { parseFaults } from "@dyn/mock-worker";
import { startFrontend } from "@dyn/mock-worker/testing";
import { describe, expect, test, vi } from "vitest";

const connect = (baseURL: string): OpenAI => new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });

async function ask(baseURL: string, content: string, model = "mock"): Promise<string | null | undefined> {
  const answer = await connect(baseURL).chat.completions.create({ model, messages: [{ role: "user", content }] });
  return answer.choices[0]?.message.content;
}

describe("startFrontend", () => {
  test("answers OpenAI's clients at baseUrl and Anthropic's at url as soon as it is there", async () => {
    await using server = await startFrontend();
    expect(server.baseUrl).toBe(`${server.url}/v1`);
    expect(await ask(server.baseUrl, "hello")).toBe("hello");
    const anthropic = new Anthropic({ baseURL: server.url, apiKey: "none", maxRetries: 0 });
    const message = await anthropic.messages.create({
      model: "mock",
      max_tokens: 10,
      messages: [{ role: "user", content: "hello" }],
    });
    expect(message.content).toEqual([{ type: "text", text: "hello" }]);
  });

  test("runs side by side with others that do not know it", async () => {
    const names = ["one", "two", "three"];
    const servers = await Promise.all(names.map((modelName) => startFrontend({ modelName })));
    for (const [index, { baseUrl }] of servers.entries()) {
      const { data } = await connect(baseUrl).models.list();
      expect(data.map(({ id }) => id)).toEqual([names[index]]);
    }
    await Promise.all(servers.map((server) => server.close()));
  });

  test("writes nothing unless it is asked to", async () => {
    const write = vi.spyOn(process.stderr, "write");
    await using server = await startFrontend();
    await ask(server.baseUrl, "hello");
    await server.close();
    expect(write.mock.calls.map(([text]) => text).join("")).toBe("");
    write.mockRestore();
  });

  test("takes options of the worker and settings of the frontend", async () => {
    await using server = await startFrontend({
      modelName: "small",
      fault: parseFaults("error:overloaded"),
      frontend: { httpOverloadStatusCode: 429 },
    });
    await expect(ask(server.baseUrl, "hello", "small")).rejects.toMatchObject({ status: 429 });
    server.worker.inject([]);
    expect(await ask(server.baseUrl, "hello", "small")).toBe("hello");
  });

  test("answers by rules from its start, or from when it is given them, until it is given none", async () => {
    await using server = await startFrontend({ fixtures: [{ response: { content: "first" } }] });
    expect(await ask(server.baseUrl, "hello")).toBe("first");
    server.script([{ match: { userMessage: "hello" }, response: { content: "second" } }]);
    expect(await ask(server.baseUrl, "hello")).toBe("second");
    server.script([]);
    expect(await ask(server.baseUrl, "hello")).toBe("hello");
    expect(() => server.script([{ respons: {} } as object])).toThrow(/respons/);
  });

  test("tells what all of its workers were asked, the oldest first", async () => {
    await using server = await startFrontend();
    await server.addWorker();
    for (const text of ["one", "two", "three"]) await ask(server.baseUrl, text);
    const requests = server.requests();
    expect(requests.map(({ answer }) => answer.text).toSorted()).toEqual(["one", "three", "two"]);
    expect(requests.map(({ at }) => at)).toEqual(requests.map(({ at }) => at).toSorted());
  });

  test("goes on at a worker that was added when another fails", async () => {
    await using server = await startFrontend({ fault: parseFaults("cut@2") });
    await server.addWorker({ fault: [] });
    expect(await Promise.all(["a b c", "d e f"].map((text) => ask(server.baseUrl, text)))).toEqual(["a b c", "d e f"]);
    expect(server.requests().map(({ attempt }) => attempt)).toContain(1);
  });

  test("ends at once what still runs when it is closed", async () => {
    const server = await startFrontend({ fault: parseFaults("hang@1") });
    const stream = await connect(server.baseUrl).chat.completions.create({
      model: "mock",
      messages: [{ role: "user", content: "a b" }],
      stream: true,
    });
    const read = async (): Promise<void> => {
      for await (const { choices } of stream) if (choices[0]?.delta.content === "a") void server.close();
    };
    await expect(read()).rejects.toThrow();
    await server.close();
    await expect(ask(server.baseUrl, "hello")).rejects.toThrow(APIConnectionError);
  });

  test("takes no more workers once it is closed, nor one that was on its way", async () => {
    const server = await startFrontend();
    const [added] = await Promise.allSettled([server.addWorker(), server.close()]);
    const closed = { code: "unavailable", message: "the frontend is closed: no worker can be added" };
    expect(added).toMatchObject({ status: "rejected", reason: closed });
    await expect(server.addWorker()).rejects.toMatchObject(closed);
  });

  test("leaves nothing open when it cannot start", async () => {
    await using server = await startFrontend();
    const { port } = server.frontend;
    await expect(startFrontend({ frontend: { httpPort: port } })).rejects.toMatchObject({ code: "unavailable" });
    await expect(startFrontend({ modelName: "" })).rejects.toMatchObject({ code: "invalid_argument" });
  });

  test("refuses an option that it does not have by its name", async () => {
    const options = { modelNam: "x" } as object;
    await expect(startFrontend(options)).rejects.toThrow(/modelNam/);
  });
});
