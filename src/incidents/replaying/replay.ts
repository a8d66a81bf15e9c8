import { errorMessage } from "../../base/mod.ts";
import type { RecordedPart } from "../../ports/mod.ts";
import { makePart, stepPart, type SteppedPart } from "./core_parts.ts";
import { decisionsOf } from "./decisions.ts";
import type { RecordedStep, RecordedStretch, RecordingNode } from "./read_incident.ts";
import { readPlain, readState } from "./state_text.ts";

/** A step as it was replayed. */
export interface ReplayedStep {
  readonly node: RecordingNode;
  readonly part: string;
  readonly id: string;
  readonly atMs: number;
  readonly input: unknown;
  readonly recorded: readonly string[];
  /** Undefined = as recorded. */
  readonly replayed: readonly string[] | undefined;
}

/**
 * Steps this program's core through what was recorded, in the order in which it happened, and ends behind the first step that
 * decides otherwise. Clocks of nodes may differ, so what happened on two of them may come in another order; a part is told of its
 * own inputs alone.
 */
export function* replayIncident(stretches: readonly RecordedStretch[]): Generator<ReplayedStep> {
  const courses = stretches.map((stretch) => new Course(stretch));
  for (;;) {
    const next = courses.reduce<Course | undefined>(
      (first, course) => course.nextMs < (first?.nextMs ?? Infinity) ? course : first,
      undefined,
    );
    if (next === undefined) return;
    const step = next.step();
    yield step;
    if (step.replayed !== undefined) return;
  }
}

/** One stretch on its way. */
class Course {
  readonly #stretch: RecordedStretch;
  #part: SteppedPart | undefined;
  #at = 0;

  constructor(stretch: RecordedStretch) {
    this.#stretch = stretch;
  }

  /** Infinity = it is over. */
  get nextMs(): number {
    return this.#stretch.steps[this.#at]?.atMs ?? Infinity;
  }

  step(): ReplayedStep {
    const { node, part, id, steps } = this.#stretch;
    const { atMs, input: text, decided: recorded } = steps[this.#at++] as RecordedStep;
    const input: unknown = readPlain(part, text);
    const decided = decisionsOf(part as RecordedPart, this.#orders(input));
    const isSame = decided.length === recorded.length &&
      decided.every((order, at) => order === recorded[at]);
    return { node, part, id, atMs, input, recorded, replayed: isSame ? undefined : decided };
  }

  #orders(input: unknown): unknown {
    try {
      this.#part ??= startOf(this.#stretch);
    } catch (error) {
      return { threw: `it can't begin where it was recorded: ${errorMessage(error)}` };
    }
    return stepPart(this.#part, input);
  }
}

function startOf({ part, options, state }: RecordedStretch): SteppedPart {
  const made = makePart(part, options);
  if (state !== undefined) readState(part, state, (keeper) => made.keep?.(keeper));
  return made;
}
