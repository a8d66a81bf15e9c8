import assert from "node:assert/strict";
import fc from "fast-check";
import {
  arrayShape,
  booleanShape,
  byteStringShape,
  choiceShape,
  integerShape,
  maybeShape,
  nullableShape,
  numberShape,
  objectShape,
  readShape,
  textShape,
  unionShape,
} from "./mod.ts";

const ANIMAL = unionShape({
  cat: objectShape({
    lives: integerShape(0, 9),
    name: maybeShape(textShape(8)),
    owner: nullableShape(textShape(8)),
  }),
  fish: objectShape({
    scales: arrayShape(numberShape(), 3),
    skin: byteStringShape(2),
    fresh: booleanShape,
    size: choiceShape(["small", "large"]),
  }),
});

Deno.test("readShape() reads what fits and leaves out what it does not know", () => {
  const cat = { kind: "cat", lives: 9, owner: null, wings: 2 };
  assert.deepEqual(readShape(ANIMAL, cat), {
    kind: "decoded",
    value: { kind: "cat", lives: 9, owner: null },
  });
  const fish = { kind: "fish", scales: [1, -Infinity], skin: Uint8Array.of(1), fresh: true };
  for (const size of ["small", "large"]) {
    assert.deepEqual(readShape(ANIMAL, { ...fish, size }), {
      kind: "decoded",
      value: { ...fish, size },
    });
  }
});

for (
  const [value, reason] of [
    [null, "value: an object is wanted"],
    [[], "value: an object is wanted"],
    [{ kind: "dog" }, "kind: unknown kind"],
    [{ kind: "toString" }, "kind: unknown kind"],
    [{ kind: "cat", lives: 10, owner: null }, "lives: an integer in [0, 9] is wanted"],
    [{ kind: "cat", lives: 0.5, owner: null }, "lives: an integer in [0, 9] is wanted"],
    [{ kind: "cat", lives: 1 }, "owner: a text is wanted"],
    [{ kind: "cat", lives: 1, owner: "a much too long" }, "owner: more than 8 characters"],
    [{ kind: "fish", scales: [1, NaN] }, "scales[1]: a number in [-Infinity, Infinity] is wanted"],
    [{ kind: "fish", scales: [1, 2, 3, 4] }, "scales: more than 3 items"],
    [{ kind: "fish", scales: [], skin: new Uint8Array(3) }, "skin: more than 2 bytes"],
    [
      { kind: "fish", scales: [], skin: new Uint8Array(1), fresh: 1 },
      "fresh: true or false is wanted",
    ],
  ] as const
) {
  Deno.test(`readShape() says what is wrong: ${reason}`, () => {
    assert.deepEqual(readShape(ANIMAL, value), { kind: "malformed", reason });
  });
}

Deno.test("readShape() takes no field from a prototype", () => {
  const value = Object.create({ kind: "cat", lives: 1, owner: null });
  value.kind = "cat";
  assert.equal(readShape(ANIMAL, value).kind, "malformed");
});

Deno.test("readShape() never throws, whatever the value", () => {
  fc.assert(fc.property(fc.anything(), (value) => void readShape(ANIMAL, value)));
});
