/** What is remembered of the latest keys only, so that strangers who make up keys cannot fill the memory. */

/** A set of the latest `max` keys. Adding a key makes it the latest, and one key too many makes it forget the oldest. */
export class RecentSet<Key> extends Set<Key> {
  readonly max: number;

  constructor(max: number) {
    super();
    this.max = max;
  }

  override add(key: Key): this {
    this.delete(key);
    super.add(key);
    dropOldest(this, this.max);
    return this;
  }
}

/** As `RecentSet`, with a value for each key. */
export class RecentMap<Key, Value> extends Map<Key, Value> {
  readonly max: number;

  constructor(max: number) {
    super();
    this.max = max;
  }

  override set(key: Key, value: Value): this {
    this.delete(key);
    super.set(key, value);
    dropOldest(this, this.max);
    return this;
  }
}

interface Keyed<Key> {
  readonly size: number;
  keys(): Iterator<Key>;
  delete(key: Key): boolean;
}

function dropOldest<Key>(keyed: Keyed<Key>, max: number): void {
  if (keyed.size <= max) return;
  const oldest = keyed.keys().next();
  if (oldest.done !== true) keyed.delete(oldest.value);
}
