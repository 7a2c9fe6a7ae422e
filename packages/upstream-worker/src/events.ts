/** Server-sent events from bytes: the texts of their `data` lines (WHATWG HTML, 9.2.6). */
import { RuntimeError } from "@dyn/runtime";

/** Of one event: a piece of an answer is far smaller, an answer in one piece may be as large as an image. */
export const maxEventChars: number = 16 * 1024 * 1024;

/** Yields the data of each event that has any. An event that the end of the stream cuts off is not one. @throws RuntimeError `protocol` for one that is too long. */
export async function* readEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const lines = new Lines();
  let data: string[] = [];
  let chars = 0;
  for await (const bytes of body)
    for (const line of lines.push(bytes)) {
      if (line === "") {
        if (data.length > 0) yield data.join("\n");
        [data, chars] = [[], 0];
      } else if (line.startsWith("data:")) {
        data.push(line.slice(line[5] === " " ? 6 : 5));
        chars += line.length;
        assertLength(chars);
      } // comments keep the connection open; event, id and retry say nothing that the data does not
    }
}

// Whole lines of a text that comes in pieces. They end with LF, CR or CRLF.
class Lines {
  readonly #decoder = new TextDecoder();
  #rest = "";
  #isAfterReturn = false;

  push(bytes: Uint8Array): readonly string[] {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (text === "") return []; // half of a character
    if (this.#isAfterReturn && text.startsWith("\n")) text = text.slice(1);
    this.#isAfterReturn = text.endsWith("\r");
    if (!/[\r\n]/.test(text)) {
      this.#rest += text;
      assertLength(this.#rest.length);
      return [];
    }
    const lines = text.split(/\r\n|\r|\n/);
    lines[0] = `${this.#rest}${lines[0] ?? ""}`;
    this.#rest = lines.pop() ?? "";
    return lines;
  }
}

function assertLength(chars: number): void {
  if (chars <= maxEventChars) return;
  throw new RuntimeError("protocol", `the upstream sent an event of more than ${maxEventChars} characters`);
}
