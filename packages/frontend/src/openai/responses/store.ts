/** Responses that clients may come back to: the latest, as many as there is room for, each for the key that asked for it. */
import type { Message } from "@dyn/runtime/llm";

export interface StoreLimits {
  /** Responses of all callers; 0 keeps none. */
  readonly maxEntries: number;
  /** Of all of them. */
  readonly maxBytes: number;
}

/** One that is kept. */
export interface KeptResponse {
  /** The response object, as JSON. */
  readonly json: string;
  /** The conversation up to it and with it, without instructions. */
  readonly messages: readonly Message[];
}

/** What is kept for one caller; nobody else finds it. */
export interface Keeper {
  /** False: nothing is ever kept. */
  readonly isOn: boolean;
  find(id: string): KeptResponse | undefined;
  /** The oldest give way to it; one that is larger than all the room is not kept. */
  keep(id: string, response: KeptResponse): void;
  /** @returns false if there was none. */
  delete(id: string): boolean;
}

export interface ResponseStore {
  /** `owner`: the hash of the caller's API key; undefined for callers without one. */
  of(owner: string | undefined): Keeper;
}

interface Entry extends KeptResponse {
  readonly bytes: number;
}

export function createResponseStore({ maxEntries, maxBytes }: StoreLimits): ResponseStore {
  const entries = new Map<string, Entry>(); // the longest unused first
  let heldBytes = 0;
  const drop = (key: string): boolean => {
    heldBytes -= entries.get(key)?.bytes ?? 0;
    return entries.delete(key);
  };
  const makeRoom = (): void => {
    for (const key of entries.keys()) {
      if (entries.size <= maxEntries && heldBytes <= maxBytes) return;
      drop(key);
    }
  };
  const keeperOf = (owner: string): Keeper => ({
    isOn: maxEntries > 0,
    find(id) {
      const key = `${owner} ${id}`;
      const entry = entries.get(key);
      if (!entry) return undefined;
      entries.delete(key);
      entries.set(key, entry);
      return entry;
    },
    keep(id, response) {
      const key = `${owner} ${id}`;
      drop(key);
      const bytes = sizeOf(response);
      if (bytes > maxBytes) return;
      entries.set(key, { ...response, bytes });
      heldBytes += bytes;
      makeRoom();
    },
    delete: (id) => drop(`${owner} ${id}`),
  });
  return { of: (owner = "") => keeperOf(owner) };
}

const bytesPerLetter = 2;
/** Of an entry, of a message, of a call or a part: what stands around its texts. */
const objectBytes = 256;

/** Memory of an entry, or of messages. Every text counts, whatever its field is called: clients may write in any of them.
 *  Each entry holds the whole conversation, though V8 has the texts of its beginning only once. */
export function sizeOf(value: unknown): number {
  if (typeof value === "string") return value.length * bytesPerLetter;
  if (typeof value !== "object" || value === null) return 0;
  let bytes = Array.isArray(value) ? 0 : objectBytes;
  for (const each of Object.values(value)) bytes += sizeOf(each);
  return bytes;
}
