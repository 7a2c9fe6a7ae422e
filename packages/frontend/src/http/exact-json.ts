/** JSON whose outermost object keeps every digit of its whole numbers: JSON.parse rounds those beyond 2^53, such as a seed of 64 bits. */

const wholeNumber = /[\t\n\r ]*(-?\d+)(?![\d.eE])/y;

/** As JSON.parse, except that whole numbers beyond 2^53 that are members of the outermost object are bigints. @throws SyntaxError. */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const members = Object.entries(value);
  if (!members.some(([, member]) => isRounded(member))) return value;
  const digits = readWholeNumbers(text);
  return Object.fromEntries(members.map(([name, member]) => [name, isRounded(member) ? toExact(member, digits.get(name)) : member]));
}

// 1e20 has no digits but those it says.
function toExact(rounded: unknown, digits: string | undefined): unknown {
  return digits === undefined ? rounded : BigInt(digits);
}

function isRounded(member: unknown): boolean {
  return typeof member === "number" && Number.isInteger(member) && !Number.isSafeInteger(member);
}

// The digits of the members of the outermost object that are written as whole numbers; of two with one name the last, as JSON.parse has it.
// A reviver would have the digits too, but it is called for every value there is, and a body may hold millions.
function readWholeNumbers(text: string): Map<string, string> {
  const found = new Map<string, string>();
  let [depth, nameAt, nameEnd] = [0, 0, 0];
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === '"') {
      const end = endOfString(text, at);
      if (depth === 1) [nameAt, nameEnd] = [at, end]; // a value, perhaps, but the colon comes after a name
      at = end;
    } else if (char === "{" || char === "[") depth += 1;
    else if (char === "}" || char === "]") depth -= 1;
    else if (char === ":" && depth === 1) {
      wholeNumber.lastIndex = at + 1;
      const name = JSON.parse(text.slice(nameAt, nameEnd + 1)) as string;
      const [, digits] = wholeNumber.exec(text) ?? [];
      if (digits === undefined) found.delete(name);
      else found.set(name, digits);
    }
  }
  return found;
}

// The index of the quote that ends the string begun at `from`.
function endOfString(text: string, from: number): number {
  let at = from + 1;
  for (; text[at] !== '"'; at += 1) if (text[at] === "\\") at += 1;
  return at;
}
