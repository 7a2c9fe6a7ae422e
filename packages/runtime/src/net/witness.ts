/** Whether a peer that says nothing lives all the same: its event loop may be blocked by one of its handlers, and then it answers nothing until that is over. */
import { connect } from "node:net";
import { within } from "../lifetime.ts";
import { preface } from "../wire/frames.ts";

/** How long a peer may be silent and be waited for, ms, whatever is known of it. */
export const longestSilenceMs = 60_000;
/** How long the system of the peer may take to accept a connection, and whatever tells of its beat to answer, ms. */
const answerMs = 2_000;
/** How long a peer whose event loop turns may take to say its first word on a connection, ms. */
const wordMs = 1_000;
/** How long what it says then on the one that was silent may take to be read here, ms. */
const readMs = 250;

/** Asked about one peer, while it is silent. */
export interface Witness {
  /** The peer has been silent for an interval: look at what tells of it. */
  look(): void;
  /** Look again. @returns true if the peer has shown since the first look that it lives, and can be reached, and says nothing there either. Never rejects. */
  vouches(): Promise<boolean>;
  /** The peer has been heard: what was seen is of no use any more. */
  forget(): void;
}

export interface WitnessOptions {
  readonly host: string;
  readonly port: number;
  /** A number that grows as long as the process of the peer lives; undefined if nothing tells. Never rejects, and may never resolve: a directory on a machine that is gone answers nothing. */
  readonly readBeat: () => Promise<number | undefined>;
}

/** Create one that has seen nothing. A process that was stopped has its port, but its beat does not grow; a machine that cannot be reached may have a beat that grows, but no port. */
export function createWitness({ host, port, readBeat }: WitnessOptions): Witness {
  let first: Promise<number | undefined> | undefined;
  const read = async (): Promise<number | undefined> => {
    let beat: number | undefined;
    await within(
      readBeat().then((found) => void (beat = found)),
      answerMs,
    );
    return beat;
  };
  return {
    look() {
      first ??= read();
    },
    async vouches() {
      const before = await (first ??= read());
      if (before === undefined) return false;
      const after = await read();
      if (after === undefined || after <= before) return false;
      first = Promise.resolve(after); // it has to grow again until the next time
      return isBusy(host, port);
    },
    forget() {
      first = undefined;
    },
  };
}

// The system accepts for a process that is busy. One that says a word there is not: what is silent is the connection to it alone, as behind a firewall that has forgotten it.
function isBusy(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (isSo: boolean) => (): void => {
      socket.destroy();
      resolve(isSo);
    };
    const ask = (): void => {
      socket.removeAllListeners("timeout").setTimeout(wordMs, end(true)).write(preface);
    };
    const refute = (): void => void setTimeout(end(false), readMs).unref();
    socket.unref();
    socket.setTimeout(answerMs, end(false)).once("connect", ask).once("data", refute);
    socket.once("error", end(false)).once("end", end(false));
  });
}
