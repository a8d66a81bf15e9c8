import type { Entry } from "../../../src/protocol/mod.ts";

/** A client's command on one key. */
export interface RegisterCommand {
  readonly client: number;
  /** Rising per client: a command is applied once, and never after a later one of its client. */
  readonly serial: number;
  readonly key: string;
  readonly action: { readonly kind: "put"; readonly value: number } | {
    readonly kind: "swap";
    readonly expected: number;
    readonly value: number;
  };
}

/** What a command came to. `applied: false` = the expected value was not there. */
export interface RegisterResult {
  readonly applied: boolean;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeCommand(command: RegisterCommand): Uint8Array {
  return encoder.encode(JSON.stringify(command));
}

/** Registers with client sessions, and a hash over everything ever applied. */
export class RegisterMachine {
  index = 0;
  /** Chained over all entries: equal at equal indexes on every correct node. */
  hash = 0x811c9dc5;
  readonly #values = new Map<string, number>();
  readonly #sessions = new Map<number, { serial: number; result: RegisterResult }>();

  /** Applies the next entry; returns the command with its result, if it held one that counts. */
  apply(
    entry: Entry,
  ): { readonly command: RegisterCommand; readonly result: RegisterResult } | undefined {
    if (entry.index !== this.index + 1) {
      throw new Error(`applied ${entry.index} after ${this.index}`);
    }
    this.index = entry.index;
    this.#mix(entry.index);
    this.#mix(entry.term);
    if (entry.kind !== "command" || entry.data.length === 0) return undefined;
    for (const byte of entry.data) this.#mix(byte);
    const command = JSON.parse(decoder.decode(entry.data)) as RegisterCommand;
    return this.#execute(command);
  }

  /** The value of a key; 0 when it was never written. */
  read(key: string): number {
    return this.#values.get(key) ?? 0;
  }

  save(): Uint8Array {
    const state = {
      index: this.index,
      hash: this.hash,
      values: [...this.#values],
      sessions: [...this.#sessions],
    };
    return encoder.encode(JSON.stringify(state));
  }

  static restore(bytes: Uint8Array): RegisterMachine {
    const machine = new RegisterMachine();
    if (bytes.length === 0) return machine;
    const state = JSON.parse(decoder.decode(bytes));
    machine.index = state.index;
    machine.hash = state.hash;
    for (const [key, value] of state.values) machine.#values.set(key, value);
    for (const [client, session] of state.sessions) machine.#sessions.set(client, session);
    return machine;
  }

  #execute(
    command: RegisterCommand,
  ): { readonly command: RegisterCommand; readonly result: RegisterResult } | undefined {
    const session = this.#sessions.get(command.client);
    if (session !== undefined && command.serial <= session.serial) {
      // A repeated proposal gets the answer of the first; one older than that is nobody's any more.
      return command.serial === session.serial ? { command, result: session.result } : undefined;
    }
    const { action } = command;
    const applied = action.kind === "put" || this.read(command.key) === action.expected;
    if (applied) this.#values.set(command.key, action.value);
    const result = { applied };
    this.#sessions.set(command.client, { serial: command.serial, result });
    return { command, result };
  }

  #mix(value: number): void {
    this.hash = Math.imul(this.hash ^ value, 0x01000193) >>> 0;
  }
}
