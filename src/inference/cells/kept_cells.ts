import { PrefixShelf, sharedTokens } from "../../core/kv_cache/mod.ts";
import type { Llama } from "../llama/mod.ts";

/** Cells that belong to no slot. */
interface SavedCells {
  readonly state: Uint8Array<ArrayBuffer>;
  /** By how many their positions are fewer than they. */
  readonly savedPositions: number;
}

/** Where cells go, and whose. */
export interface CellsOfSlot {
  readonly slot: number;
  /** Of which the cells are, all of them. */
  readonly tokens: readonly number[];
  readonly savedPositions: number;
}

/** A model's context, and what may be kept of it. */
export interface KeptCellsOptions {
  readonly llama: Llama;
  readonly context: Deno.PointerValue;
  readonly memory: Deno.PointerValue;
  readonly bytesMax: number;
  /** Whether a sequence can be cut anywhere. */
  readonly canCut: boolean;
}

/** What the slots of a model have computed and no longer hold, in memory. While one of its methods runs, nothing may be decoded. */
export class KeptCells {
  readonly #model: KeptCellsOptions;
  readonly #shelf: PrefixShelf;
  readonly #cells = new Map<string, SavedCells>();
  #count = 0;

  constructor(options: KeptCellsOptions) {
    this.#model = options;
    this.#shelf = new PrefixShelf(options);
  }

  /** Leading tokens of a prompt that are here; the last one never counts. */
  tokensOf(prompt: readonly number[]): number {
    return this.#shelf.find(prompt)?.tokens ?? 0;
  }

  /**
   * Copies a slot's cells.
   *
   * @param computeMs What to compute them took, about.
   */
  async save({ slot, tokens, savedPositions }: CellsOfSlot, computeMs: number): Promise<void> {
    const { llama, context } = this.#model;
    const held = this.#shelf.find([...tokens, -1]);
    if (held?.tokens === tokens.length) return this.#shelf.touch(held.prefix.id);
    const bytes = Number(llama.call.llama_state_seq_get_size(context, slot));
    if (bytes === 0 || !this.#shelf.hasRoomFor(bytes)) return;
    const state = new Uint8Array(new ArrayBuffer(bytes));
    const length = Number(
      await llama.call.llama_state_seq_get_data_later(context, state, BigInt(bytes), slot),
    );
    if (length !== bytes) return;
    const id = String(this.#count++);
    this.#cells.set(id, { state, savedPositions });
    const gone = this.#shelf.add({ id, tokens: Int32Array.from(tokens), bytes, computeMs });
    for (const prefix of gone) this.#cells.delete(prefix.id);
  }

  /**
   * Puts the cells that serve a prompt best in the place of a slot's.
   *
   * @returns Which the slot has now, at least as many as serve the prompt; undefined = it has none.
   */
  async restore(slot: number, prompt: readonly number[]): Promise<CellsOfSlot | undefined> {
    const { llama, context, memory } = this.#model;
    const found = this.#shelf.find(prompt);
    const cells = found && this.#cells.get(found.prefix.id);
    llama.call.llama_memory_seq_rm(memory, slot, -1, -1);
    if (found === undefined || cells === undefined) return undefined;
    const { id, tokens } = found.prefix;
    const { state, savedPositions } = cells;
    const size = BigInt(state.length);
    const read = await llama.call.llama_state_seq_set_data_later(context, state, size, slot);
    const last = llama.call.llama_memory_seq_pos_max(memory, slot);
    // Fewer cells than tokens, or others: what a decode would fail on.
    if (Number(read) !== state.length || last !== tokens.length - savedPositions - 1) {
      llama.call.llama_memory_seq_rm(memory, slot, -1, -1);
      this.#shelf.drop(id);
      this.#cells.delete(id);
      return undefined;
    }
    this.#shelf.touch(id);
    return { slot, tokens: [...tokens], savedPositions };
  }
}

/** How many of a slot's tokens nobody would hold any more, were its cells given up for a prompt. */
export function tokensLost(
  tokens: readonly number[],
  by: { readonly others: readonly (readonly number[])[]; readonly keptTokens: number },
): number {
  const held = by.others.map((other) => sharedTokens(other, tokens));
  return tokens.length - Math.max(by.keptTokens, 0, ...held);
}
