/** Which answer is meant. Two askers may call theirs the same. */
export interface AnswerKey {
  /** As the client calls it, or as it was told. */
  readonly id: string;
  /** Who asked, in words that mean the same on every node. */
  readonly owner: string;
}

/** What was asked, and what was drawn for it: with these any node makes the same answer. */
export interface JournalHead extends AnswerKey {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly body: Uint8Array;
  /** Of what was asked, by which the same request is known again; "" where nobody asks for it again. */
  readonly fingerprint: string;
  /** Who asked, as the list of changes has it. */
  readonly who: string;
  readonly from: string;
  /** Small letters and digits, for the ids within the answer. */
  readonly drawn: string;
  /** Unsigned 32-bit. */
  readonly seed: number;
  readonly startedAtMs: number;
}

/** How the answer begins, for whoever reads it. */
export interface AnswerOpening {
  readonly status: number;
  readonly contentType: string;
}

/** What is told at once: bytes as they are sent, and what another node needs to go on behind them. */
export interface AnswerEntry {
  readonly bytes: Uint8Array;
  /** Text that only the part which made it reads; "" = nobody can go on here. */
  readonly facts: string;
}
