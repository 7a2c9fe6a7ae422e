/** HTML in which every text is escaped: only what is written here as markup is markup. */

export interface Html {
  readonly markup: string;
}

type Part = Html | string | number | readonly Part[] | undefined | false;

/** `markup\`<td>${text}</td>\``: lists are joined, undefined and false are nothing. */
export function markup(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return { markup: strings.map((text, index) => text + toMarkup(parts[index])).join("") };
}

function toMarkup(part: Part): string {
  if (part === undefined || part === false) return "";
  if (typeof part === "string" || typeof part === "number") return escape(String(part));
  return "markup" in part ? part.markup : part.map(toMarkup).join("");
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

/** What this product's texts have of Markdown: paragraphs, lists, and code between backticks. */
export function prose(text: string): Html {
  const blocks = text.split("\n\n").map((block) => {
    if (!block.startsWith("- ")) return markup`<p>${inline(block)}</p>`;
    return markup`<ul>${block.split("\n").map((line) => markup`<li>${inline(line.slice(2))}</li>`)}</ul>`;
  });
  return markup`${blocks}`;
}

/** Code between backticks alone. */
export function inline(text: string): Html {
  return markup`${text.split("`").map((piece, index) => (index % 2 === 1 ? markup`<code>${piece}</code>` : piece))}`;
}
