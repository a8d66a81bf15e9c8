import assert from "node:assert/strict";
import fc from "fast-check";
import { BoundedMap } from "./bounded_map.ts";

/** The same as a plain list of pairs, newest last. */
class ListedMap {
  pairs: [number, number][] = [];

  constructor(readonly entriesMax: number) {}

  set(key: number, value: number): void {
    this.pairs = [...this.pairs.filter(([known]) => known !== key), [key, value]];
    this.pairs = this.pairs.slice(-this.entriesMax);
  }

  use(key: number): number | undefined {
    const found = this.pairs.find(([known]) => known === key)?.[1];
    if (found !== undefined) this.set(key, found);
    return found;
  }

  delete(key: number): boolean {
    const before = this.pairs.length;
    this.pairs = this.pairs.filter(([known]) => known !== key);
    return this.pairs.length < before;
  }
}

Deno.test("BoundedMap is a list of the newest pairs, whatever is done to it", () => {
  const step = fc.tuple(fc.constantFrom("set", "use", "get", "delete"), fc.nat(6), fc.nat());
  fc.assert(fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step), (entriesMax, steps) => {
    const map = new BoundedMap<number, number>(entriesMax);
    const list = new ListedMap(entriesMax);
    for (const [kind, key, value] of steps) {
      if (kind === "set") {
        map.set(key, value);
        list.set(key, value);
      } else if (kind === "use") assert.equal(map.use(key), list.use(key));
      else if (kind === "delete") assert.equal(map.delete(key), list.delete(key));
      else assert.equal(map.get(key), list.pairs.find(([known]) => known === key)?.[1]);
      assert.deepEqual([...map], list.pairs);
      assert.equal(map.size, list.pairs.length);
    }
  }));
});
