/** One turn of a conversation. Roles templates know: system, user, assistant, tool; others pass through. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string;
  readonly thinking?: string;
  readonly images?: readonly Uint8Array[];
  readonly toolCalls?: readonly ToolCall[];
  /** For role `tool`: which tool answered. */
  readonly toolName?: string;
  readonly toolCallId?: string;
}

/** A call the model asks for. `arguments` keeps the key order of the text. */
export interface ToolCall {
  readonly id?: string;
  readonly index?: number;
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** A tool the model may call. `parameters` is a JSON Schema object; key order is kept. */
export interface Tool {
  readonly type: string;
  readonly function: {
    readonly name: string;
    readonly description?: string;
    readonly parameters: Readonly<Record<string, unknown>>;
  };
}

/** Whether and how hard to think (contract 1.4). */
export type ThinkLevel = boolean | "low" | "medium" | "high" | "max";
