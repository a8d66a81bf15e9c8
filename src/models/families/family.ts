import type { AnswerFormat, CallsText } from "../../core/generation/mod.ts";

/** How a family wants the ids of calls. `nine`: nine letters and digits; `numbered`: `functions.name:0`. */
export type CallIds = "any" | "nine" | "numbered";

/** Everything that is known of the models that speak one language. */
export interface Family {
  /** Unique; lower case. */
  readonly id: string;
  /** RENDERER and PARSER lines that mean it. */
  readonly names: readonly string[];
  /** Texts of templates: those with all texts of one row are of this family, unless a family before it claims them. */
  readonly marks: readonly (readonly string[])[];
  /** `general.architecture` of models that speak it when their file has no template. */
  readonly architectures: readonly string[];
  readonly answer: AnswerFormat;
  /** Its answers think, though their tags are no thinking tags. */
  readonly thinks?: boolean;
  readonly callIds: CallIds;
  /** A chat template, for models that come without one. */
  readonly template: string;
  /** Around the list of tools, where a template of the family shows none. */
  readonly toolWords: readonly [before: string, after: string];
  /** How it writes a call. */
  readonly calls: CallsText;
  /** End an answer, where the vocabulary has them as ordinary text. */
  readonly stops: readonly string[];
}
