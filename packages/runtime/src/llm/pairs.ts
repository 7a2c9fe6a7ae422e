/** Characters that an engine has cut between two deltas: half of a surrogate pair has no bytes on the plane. Thinking is cut like text, which it stands before. */
import type { Delta } from "./contract.ts";

/** Holds back what ends within a character. */
export interface PairJoin {
  /** True if the delta may pass as it is: most do. */
  isWhole(delta: Delta): boolean;
  /** For all others. @returns what may pass now. A delta that ends within a character is held, whole, and the rest of the character joins it. */
  push(delta: Delta): readonly Delta[];
  /** Nothing more comes. */
  flush(): readonly Delta[];
}

/** Create one. A half that has no other half becomes U+FFFD; `onLone` hears of each. */
export function createPairJoin(onLone: () => void): PairJoin {
  let held: Delta | undefined;

  function release(delta: Delta): Delta {
    if (isWellFormed(delta)) return delta;
    onLone();
    const { text, reasoning } = delta;
    return {
      ...delta,
      text: text.toWellFormed(),
      ...(reasoning !== undefined && { reasoning: reasoning.toWellFormed() }),
    };
  }

  function take(delta: Delta): readonly Delta[] {
    const { finishReason, text, reasoning = "" } = delta;
    const last = text === "" ? reasoning : text;
    if (finishReason !== undefined || !isHigh(last.charCodeAt(last.length - 1))) return [release(delta)];
    held = delta;
    return [];
  }

  return {
    isWhole: (delta) => held === undefined && isWellFormed(delta),
    push(delta) {
      const before = held;
      held = undefined;
      if (!before) return take(delta);
      if (goesOn(before, delta)) return take(join(before, delta));
      return [release(before), ...take(delta)];
    },
    flush() {
      const rest = held;
      held = undefined;
      return rest ? [release(rest)] : [];
    },
  };
}

function isWellFormed({ text, reasoning }: Delta): boolean {
  return text.isWellFormed() && (reasoning === undefined || reasoning.isWellFormed());
}

// It has the other half, or says nothing yet.
function goesOn(before: Delta, { text, reasoning = "" }: Delta): boolean {
  if (reasoning !== "") return before.text === "" && isLow(reasoning.charCodeAt(0));
  return text === "" || (before.text !== "" && isLow(text.charCodeAt(0)));
}

function isHigh(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

function isLow(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}

function joinReasoning(first = "", second = ""): Pick<Delta, "reasoning"> {
  const reasoning = first + second;
  return reasoning === "" ? {} : { reasoning };
}

function join(first: Delta, second: Delta): Delta {
  const tokenIds =
    first.tokenIds || second.tokenIds ? [...(first.tokenIds ?? []), ...(second.tokenIds ?? [])] : undefined;
  const toolCalls = first.toolCalls && second.toolCalls && [...first.toolCalls, ...second.toolCalls];
  const logprobs = first.logprobs && second.logprobs && [...first.logprobs, ...second.logprobs];
  const usage = first.usage && second.usage && { ...first.usage, ...second.usage };
  return {
    ...first,
    ...second,
    text: first.text + second.text,
    ...joinReasoning(first.reasoning, second.reasoning),
    ...(tokenIds && { tokenIds }),
    ...(toolCalls && { toolCalls }),
    ...(logprobs && { logprobs }),
    ...(usage && { usage }),
  };
}
