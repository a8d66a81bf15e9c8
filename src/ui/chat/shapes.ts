/** What an answer came to, as its last line tells. */
export interface AnswerFigures {
  readonly promptTokens: number;
  readonly tokens: number;
  readonly tokensPerSecond: number;
  readonly totalMs: number;
}

/** What somebody asked. */
export interface Asked {
  readonly role: "user";
  readonly content: string;
  /** Base64, without a prefix. */
  readonly images: readonly string[];
}

/** What came of it. */
export interface Answered {
  readonly role: "assistant";
  readonly content: string;
  readonly thinking: string;
  readonly toolCalls: readonly string[];
  readonly state: "running" | "done" | "stopped" | "failed";
  /** Why it failed. */
  readonly failure: string;
  /** The `X-Request-Id`, by which it is explained, ended and taken up again. */
  readonly requestId: string;
  /** Bytes of the stream that were read: where it is taken up again. */
  readonly readBytes: number;
  /** The node that began it; "" until it did. */
  readonly node: string;
  /** How often it was taken up on another node because the asked one was gone. */
  readonly resumed: number;
  /** Nothing was left of it, so that it was begun again. */
  readonly isRepeated: boolean;
  readonly figures: AnswerFigures | null;
}

/** A conversation, as this browser keeps it. */
export interface Conversation {
  readonly id: string;
  readonly model: string;
  readonly system: string;
  readonly messages: readonly (Asked | Answered)[];
  readonly changedAtMs: number;
}

/** An answer that nothing has come of yet. */
export function begun(requestId: string): Answered {
  return {
    role: "assistant",
    content: "",
    thinking: "",
    toolCalls: [],
    state: "running",
    failure: "",
    requestId,
    readBytes: 0,
    node: "",
    resumed: 0,
    isRepeated: false,
    figures: null,
  };
}
