import assert from "node:assert/strict";
import { Random } from "../../../src/base/mod.ts";
import { checkLinearizable, type Operation, type Specification } from "./linearizability.ts";

type Input = { readonly write: number } | "read";

const register: Specification<number, Input, number> = {
  initial: 0,
  step(state, input, output) {
    if (input !== "read") return input.write;
    return output === undefined || output === state ? state : undefined;
  },
  describe: String,
};

function operation(
  input: Input,
  times: readonly [number, number] | readonly [number],
  output = 0,
): Operation<Input, number> {
  const [invokedAt, returnedAt] = times;
  const base = { key: "k", input, invokedAt };
  return returnedAt === undefined ? base : { ...base, outcome: { output, returnedAt } };
}

Deno.test("checkLinearizable() accepts a read that overlaps a write with either value", () => {
  for (const seen of [0, 1]) {
    const history = [operation({ write: 1 }, [0, 10]), operation("read", [5, 6], seen)];
    assert.equal(checkLinearizable(history, register).kind, "linearizable");
  }
});

Deno.test("checkLinearizable() refuses a stale read after a write returned", () => {
  const history = [operation({ write: 1 }, [0, 10]), operation("read", [11, 12], 0)];
  assert.equal(checkLinearizable(history, register).kind, "violation");
});

Deno.test("checkLinearizable() refuses two reads that see a write come and go", () => {
  const history = [
    operation({ write: 1 }, [0, 100]),
    operation("read", [10, 20], 1),
    operation("read", [30, 40], 0),
  ];
  assert.equal(checkLinearizable(history, register).kind, "violation");
});

Deno.test("checkLinearizable() lets a write of unknown outcome happen late or never", () => {
  const unknown = operation({ write: 1 }, [0]);
  for (const seen of [[0, 0], [0, 1], [1, 1]]) {
    const history = [
      unknown,
      operation("read", [10, 20], seen[0] ?? 0),
      operation("read", [30, 40], seen[1] ?? 0),
    ];
    assert.equal(checkLinearizable(history, register).kind, "linearizable", `${seen}`);
  }
});

Deno.test("checkLinearizable() checks each key alone", () => {
  const history = [
    operation({ write: 1 }, [0, 1]),
    { ...operation("read", [2, 3], 0), key: "other" },
  ];
  assert.equal(checkLinearizable(history, register).kind, "linearizable");
});

/** All orders, nothing clever. */
function checkNaively(history: readonly Operation<Input, number>[]): boolean {
  const place = (state: number, left: readonly Operation<Input, number>[]): boolean => {
    if (left.every(({ outcome }) => outcome === undefined)) return true;
    return left.some((candidate) => {
      const tooLate = left.some((other) =>
        other.outcome !== undefined && other.outcome.returnedAt < candidate.invokedAt
      );
      if (tooLate) return false;
      const next = register.step(state, candidate.input, candidate.outcome?.output);
      return next !== undefined && place(next, left.filter((other) => other !== candidate));
    });
  };
  return place(0, history);
}

Deno.test("checkLinearizable() agrees with the naive search on random histories", () => {
  const verdicts = new Set<boolean>();
  for (let seed = 0; seed < 3000; seed++) {
    const random = new Random(seed);
    const history = Array.from({ length: 1 + random.below(6) }, () => {
      const start = random.below(20);
      const input: Input = random.chance(1, 2) ? { write: random.below(3) } : "read";
      const times = random.chance(1, 6)
        ? [start] as const
        : [start, start + random.below(8)] as const;
      return operation(input, times, random.below(3));
    });
    const naive = checkNaively(history);
    verdicts.add(naive);
    const verdict = checkLinearizable(history, register).kind === "linearizable";
    assert.equal(verdict, naive, `seed ${seed}`);
  }
  assert.equal(verdicts.size, 2);
});
