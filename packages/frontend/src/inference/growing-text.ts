/** A text that grows by a few letters at a time. V8 holds such a text as a tree of its pieces, many times its size: they are joined many at a time. */

/** Texts that are joined at a time. */
const maxPieces = 256;

export class GrowingText {
  #text = "";
  #pieces: string[] = [];

  add(piece: string): void {
    if (piece !== "" && this.#pieces.push(piece) === maxPieces) this.join();
  }

  /** All of it so far. */
  join(): string {
    this.#text += this.#pieces.join("");
    this.#pieces = [];
    return this.#text;
  }

  forget(): void {
    [this.#text, this.#pieces] = ["", []];
  }
}
