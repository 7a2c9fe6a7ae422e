// The reference: a bare node:http server that parses a JSON body and answers with one of a completion's size. Port on stdout.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const body = JSON.parse(Buffer.concat(chunks).toString()) as { messages: { content: string }[] };
    const answer = Buffer.from(
      JSON.stringify({
        id: "x".repeat(45),
        object: "chat.completion",
        content: body.messages[0]?.content,
        fill: "x".repeat(200),
      }),
    );
    response.writeHead(200, { "content-type": "application/json", "content-length": answer.length });
    response.end(answer);
  });
});
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
