/**
 * Goes over the state of a part of the core, field by field and always in the same order: takes down what is there, or hands
 * back what was taken down before. What is kept is plain data; a field that holds an object with methods keeps itself.
 */
export interface StateKeeper {
  /** Whether what was taken down is being put back, into a part that has just been made. */
  readonly restores: boolean;
  /** `present` itself while taking down, else what it was. */
  keep<T>(present: T): T;
}

/** What {@link keepMap} goes over. */
interface Keyed<Key, Value> extends Iterable<[Key, Value]> {
  set(key: Key, value: Value): unknown;
}

/** A map of plain data that is filled in place. */
export function keepMap<Key, Value>(keeper: StateKeeper, map: Keyed<Key, Value>): void {
  const entries = keeper.keep([...map]);
  if (keeper.restores) { for (const [key, value] of entries) map.set(key, value); }
}
