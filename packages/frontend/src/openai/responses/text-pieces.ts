/** A text that comes in pieces. V8 holds one that grows by a few letters at a time as a tree of them, many times its size. */
export class TextPieces {
  #text = "";
  #pieces: string[] = [];

  add(piece: string): void {
    if (this.#pieces.push(piece) === maxPieces) this.#join();
  }

  toString(): string {
    this.#join();
    return this.#text;
  }

  #join(): void {
    this.#text += this.#pieces.join("");
    this.#pieces = [];
  }
}

/** That are joined at a time. */
const maxPieces = 256;
