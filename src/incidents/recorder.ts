import { errorMessage } from "../base/mod.ts";
import type {
  Clock,
  CourseStart,
  Log,
  RecordedPart,
  Recorder,
  StepRecorder,
} from "../ports/mod.ts";
import { writeState } from "./replaying/mod.ts";

/** One step: what a part was told, and what it ordered. */
export interface Step {
  /** Wall clock, milliseconds since the Unix epoch. */
  readonly atMs: number;
  readonly input: unknown;
  readonly orders: unknown;
}

/** Steps in a row of one part, from a state that is known. */
export interface Stretch {
  readonly part: RecordedPart;
  readonly id: string;
  readonly options: unknown;
  /** As `writeState` writes it; undefined = that of a part just made. */
  readonly state: string | undefined;
  readonly steps: Step[];
  bytes: number;
}

/** Steps of a stretch. */
const STRETCH_STEPS_MAX = 4_096;
/** What its inputs and orders hold on to. */
const STRETCH_BYTES_MAX = 2 * 1024 * 1024;
/** Stretches of a part with a state of its own: the last three whole ones, and the one that grows. */
const STRETCHES_MAX = 4;
/** Answers, the oldest of which goes first. */
const ANSWERS_MAX = 256;
/** Steps and bytes of all answers together. */
const ANSWERS_STEPS_MAX = 32_768;
const ANSWERS_HELD_BYTES_MAX = 8 * 1024 * 1024;

/** What recording takes. */
export interface IncidentRecorderParts {
  readonly clock: Pick<Clock, "nowMs">;
  readonly log: Log;
  /** Steps after which a part's state is taken down anew; default 4,096. */
  readonly stretchSteps?: number;
}

/** The last steps of each part of the core on this node. While nobody asks, a step costs a place in a list. */
export class IncidentRecorder implements Recorder {
  readonly #parts: IncidentRecorderParts;
  readonly #stretches = new Map<RecordedPart, Stretch[]>();
  readonly #answers: Stretch[] = [];
  #answerSteps = 0;
  #answerBytes = 0;

  constructor(parts: IncidentRecorderParts) {
    this.#parts = parts;
  }

  begin(course: CourseStart): StepRecorder {
    return course.keep === undefined ? this.#beginWhole(course) : this.#beginLong(course);
  }

  /** Those with a step since then, of each part from the oldest on. */
  stretches(sinceMs: number): readonly Stretch[] {
    const all = [...this.#stretches.values(), this.#answers].flat();
    return all.filter(({ steps }) => (steps.at(-1)?.atMs ?? -Infinity) >= sinceMs)
      .map((stretch) => ({ ...stretch, steps: [...stretch.steps] }));
  }

  #beginLong({ part, id = "", options, keep = () => {} }: CourseStart): StepRecorder {
    const { clock, stretchSteps = STRETCH_STEPS_MAX } = this.#parts;
    let stretch: Stretch | undefined = this.#open({ part, id, options }, keep);
    return {
      note: (input, orders, bytes = 0) => {
        if (stretch === undefined) return;
        stretch.steps.push({ atMs: clock.nowMs(), input, orders });
        stretch.bytes += bytes;
        if (stretch.steps.length < stretchSteps && stretch.bytes < STRETCH_BYTES_MAX) return;
        stretch = this.#open({ part, id, options }, keep);
      },
    };
  }

  #open(
    course: Pick<Stretch, "part" | "id" | "options">,
    keep: NonNullable<CourseStart["keep"]>,
  ): Stretch | undefined {
    const { part } = course;
    try {
      const stretch: Stretch = { ...course, state: writeState(part, keep), steps: [], bytes: 0 };
      const known = this.#stretches.get(part) ?? [];
      this.#stretches.set(part, [...known, stretch].slice(-STRETCHES_MAX));
      return stretch;
    } catch (error) {
      // A part must not fail because it is watched.
      const reason = errorMessage(error);
      this.#parts.log.log("error", "incident_recording_stopped", { part, reason });
      return undefined;
    }
  }

  /** Short courses are kept from their beginning: the oldest go, and one that is gone is recorded no more. */
  #beginWhole({ part, id = "", options, bytes: held = 0 }: CourseStart): StepRecorder {
    const { clock } = this.#parts;
    const stretch: Stretch = { part, id, options, state: undefined, steps: [], bytes: held };
    this.#answers.push(stretch);
    this.#answerBytes += held;
    this.#dropAnswers();
    return {
      note: (input, orders, bytes = 0) => {
        if (stretch.steps.length >= STRETCH_STEPS_MAX || stretch.bytes < 0) return;
        stretch.steps.push({ atMs: clock.nowMs(), input, orders });
        stretch.bytes += bytes;
        this.#answerSteps++;
        this.#answerBytes += bytes;
        this.#dropAnswers();
      },
    };
  }

  #dropAnswers(): void {
    while (
      this.#answers.length > ANSWERS_MAX || this.#answerSteps > ANSWERS_STEPS_MAX ||
      this.#answerBytes > ANSWERS_HELD_BYTES_MAX
    ) {
      const oldest = this.#answers.shift();
      if (oldest === undefined) return;
      this.#answerSteps -= oldest.steps.length;
      this.#answerBytes -= oldest.bytes;
      oldest.steps.length = 0;
      oldest.bytes = -1;
    }
  }
}
