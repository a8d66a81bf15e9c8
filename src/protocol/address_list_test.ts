import assert from "node:assert/strict";
import { ADDRESS_LIST_WIRE, readLists } from "./address_list.ts";

Deno.test("several addresses are told when each member that is there has said that it reads them", () => {
  const [older, newer] = [ADDRESS_LIST_WIRE - 1, ADDRESS_LIST_WIRE];
  assert.equal(readLists({ others: 2, wires: [newer, newer + 1] }), true);
  assert.equal(readLists({ others: 2, wires: [newer, older] }), false);
  // Who is away or has not spoken yet says so before anything else once it is there.
  assert.equal(readLists({ others: 2, wires: [newer] }), true);
  assert.equal(readLists({ others: 2, wires: [] }), false, "nobody was met yet");
  assert.equal(readLists({ others: 0, wires: [] }), true, "there is nobody to be told");
});
