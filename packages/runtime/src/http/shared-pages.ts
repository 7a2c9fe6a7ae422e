/** Pages that cost time to make, and that anybody may ask for as often as they like: metrics, health. */

/** Of each `windowMs` so much is spent on making pages; then the last ones are shown until it is over. */
const spendMs = 25;
const windowMs = 250;

interface Made<Page> {
  readonly page: Promise<Page>;
  state: "making" | "made" | "failed";
}

/** `make`, but for a tenth of the time at most: who asks seldom has a page that is new, who asks often shares one that is at most 250 ms old.
 *  Those who ask while one is made share it, too. `now`: ms. */
export function sharePages<Key, Page>(
  make: (key: Key) => Page | Promise<Page>,
  now: () => number,
): (key: Key) => Promise<Page> {
  const pages = new Map<Key, Made<Page>>();
  let [begunAt, spent] = [Number.NEGATIVE_INFINITY, 0];
  const begin = (key: Key): Made<Page> => {
    const at = now();
    const run = async (): Promise<Page> => {
      let state: "made" | "failed" = "failed";
      try {
        const page = await make(key);
        state = "made";
        return page;
      } finally {
        made.state = state;
        spent += now() - at;
      }
    };
    const made: Made<Page> = { page: Promise.resolve().then(run), state: "making" };
    return made;
  };
  return (key) => {
    if (now() - begunAt >= windowMs) {
      [begunAt, spent] = [now(), 0];
      for (const [old, { state }] of pages) if (state !== "making") pages.delete(old);
    }
    let found = pages.get(key);
    if (!found || found.state === "failed" || (found.state === "made" && spent < spendMs)) {
      found = begin(key);
      pages.set(key, found);
    }
    return found.page;
  };
}
