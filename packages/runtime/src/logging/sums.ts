/** Lines that anybody can cause as often as they like, such as refusals of strangers. Of each kind ten are written in ten seconds; those that follow are counted,
 *  and told of in one line when the time is over, and at the end. Nothing of them is kept but one, which stands in that line as the example. */

/** How lines are summed up. */
export interface SumOptions {
  /** What sets it apart from others with the same message: of a closed set. Default: nothing. */
  readonly kind?: string;
  /** Called before one is written that is not counted: for lines that belong to it. */
  readonly before?: () => void;
}

export interface Sums extends Disposable {
  /** Let `write` write the line now, or later: then with the field `count`. */
  add(message: string, write: (count?: number) => void, options: SumOptions): void;
}

export interface SumsOptions {
  /** Lines of a kind that are written in ten seconds. Default 10: enough to see each of those that somebody causes by mistake. */
  readonly whole?: number;
  /** Calls `tell` once, unless disposed before. Default: in ten seconds, which hold no process up. */
  readonly later?: (tell: () => void) => Disposable;
}

interface Sum {
  /** How many more are written. */
  left: number;
  count: number;
  example: ((count: number) => void) | undefined;
}

const everyMs = 10_000;
/** Beyond so many, kinds of a message are told of together. */
const maxKinds = 128;

/** Create it, with nothing to tell. Disposing it writes what has been counted. */
export function createSums({ whole = 10, later = inTenSeconds }: SumsOptions = {}): Sums {
  const sums = new Map<string, Sum>();
  let timer: Disposable | undefined;
  const tell = (): void => {
    for (const { count, example } of sums.values()) example?.(count);
    sums.clear();
    timer?.[Symbol.dispose]();
    timer = undefined;
  };
  const find = (message: string, kind: string): Sum => {
    const name = `${message} ${kind}`;
    const key = sums.has(name) || sums.size < maxKinds ? name : message;
    const found = sums.get(key) ?? { left: whole, count: 0, example: undefined };
    sums.set(key, found);
    return found;
  };
  return {
    add(message, write, { kind = "", before }) {
      const sum = find(message, kind);
      timer ??= later(tell);
      if (sum.left > 0) {
        sum.left -= 1;
        before?.();
        return write();
      }
      sum.count += 1;
      sum.example ??= write;
    },
    [Symbol.dispose]: tell,
  };
}

function inTenSeconds(tell: () => void): Disposable {
  const timer = setTimeout(tell, everyMs).unref();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
