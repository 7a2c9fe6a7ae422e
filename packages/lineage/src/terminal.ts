/** Text for terminals: measured, wrapped, coloured if somebody looks. */
import { stripVTControlCharacters, styleText } from "node:util";

export type Style = "bold" | "dim" | "green" | "yellow" | "red";
export type Paint = (style: Style, text: string) => string;

/** Create a painter; without `color` it leaves texts as they are. */
export function createPaint(color: boolean): Paint {
  return (style, text) => (color && text !== "" ? styleText(style, text, { validateStream: false }) : text);
}

/** Three digits are enough: `0.41 ms`, `28.3 ms`, `1.24 s`. */
export function formatMs(ms: number): string {
  const [value, unit] = Math.abs(ms) < 999.5 ? [ms, "ms"] : [ms / 1000, "s"];
  const size = Math.abs(value);
  return `${value.toFixed(size < 9.995 ? 2 : size < 99.95 ? 1 : 0)} ${unit}`;
}

/** Exactly `width` characters, cut or padded. */
export function fit(text: string, width: number): string {
  return text.length <= width ? text.padEnd(width) : `${text.slice(0, width - 1)}…`;
}

/** Where a paragraph goes, characters. */
export interface Margins {
  /** Of the whole line. */
  readonly width: number;
  /** Of these, those before the text. */
  readonly left: number;
}

/** A paragraph, which may be painted, beside its painted `head`: in lines of at most `width` where blanks allow it. */
export function wrap(
  text: string,
  head: string,
  { width, left }: Margins,
  paintHead: (head: string) => string,
): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && stripVTControlCharacters(`${line} ${word}`).length > width - left) {
      lines.push(line);
      line = word;
    } else line += line === "" ? word : ` ${word}`;
  }
  lines.push(line);
  return lines.map((line, index) => `${index === 0 ? paintHead(head.padEnd(left)) : " ".repeat(left)}${line}`);
}
