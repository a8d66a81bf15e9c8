import {
  type KeptPrefix,
  PrefixShelf,
  sharedBlockTokens,
  sharedTokens,
  tokenBlocks,
} from "../../core/kv_cache/mod.ts";
import type { NodeId } from "../../base/mod.ts";
import {
  CELLS_BLOCKS_BYTES_MAX,
  CELLS_BYTES_MAX,
  type CellsCommand,
  type CellsWish,
  isImageToken,
} from "../../protocol/mod.ts";
import type { Llama } from "../llama/mod.ts";
import { type CellsVoice, type PrefixCells, TravellingCells } from "./travelling_cells.ts";

/** A slot whose cells are all computed, and the tokens that they are of. */
export interface CellsOfSlot {
  readonly slot: number;
  readonly tokens: readonly number[];
  /** By how many their positions are fewer than they. */
  readonly savedPositions: number;
  /** What to compute them took, about. Milliseconds. */
  readonly computeMs: number;
}

/** A model's context, and what may be kept of it. */
export interface KeptCellsOptions {
  readonly llama: Llama;
  readonly context: Deno.PointerValue;
  readonly memory: Deno.PointerValue;
  readonly bytesMax: number;
  /** Whether a sequence can be cut anywhere. */
  readonly canCut: boolean;
  /** Who keeps what finds no room here; absent = nobody. */
  readonly outside?: CellsVoice;
}

/** From where cells came back. */
export type CellsOrigin = "memory" | "disk" | "node";

/** Where else cells for a prompt may be. */
export interface CellsSearch {
  readonly keepers: readonly NodeId[];
  /** Tokens of the prompt that are here already. */
  readonly readyTokens: number;
  /** What a token of a prompt takes here, in milliseconds; undefined = not measured. */
  readonly msPerToken: number | undefined;
}

/** What the slots of a model have computed and no longer hold, in memory. While one of its methods runs, nothing may be decoded. */
export class KeptCells {
  readonly #model: KeptCellsOptions;
  readonly #shelf: PrefixShelf;
  readonly #travelling: TravellingCells | undefined;
  readonly #cells = new Map<string, PrefixCells & { readonly origin: CellsOrigin }>();
  /** By id, who waits for them. */
  readonly #coming = new Map<string, ((hasCome: boolean) => void)[]>();
  /** By the name under which they would come from another node, who waits for them. */
  readonly #sought = new Map<string, (isSound: boolean) => void>();
  #count = 0;

  constructor(options: KeptCellsOptions) {
    const { outside, canCut } = options;
    this.#model = options;
    this.#shelf = new PrefixShelf(options);
    this.#travelling = outside && new TravellingCells({ ...outside, canCut });
  }

  /** Leading tokens of a prompt that are here; the last one never counts. */
  tokensOf(prompt: readonly number[]): number {
    return this.#shelf.find(prompt)?.tokens ?? 0;
  }

  /** Whether anything is kept, here or outside. */
  get hasAny(): boolean {
    return this.#shelf.bytes > 0 || this.#travelling?.hasAny === true;
  }

  /** Leading tokens of a prompt that cells are of, here or outside, whether or not they can be cut to them. */
  matchedTokens(prompt: readonly number[]): number {
    const outside = this.#travelling?.matchedTokens(prompt) ?? 0;
    return Math.max(outside, this.#shelf.matchedTokens(prompt));
  }

  /**
   * Asks for cells from outside that save a prompt so many tokens at least.
   *
   * @param onCome Called once they are here, or can't be had.
   * @returns Whether there are such cells.
   */
  fetch(
    prompt: readonly number[],
    tokensMin: number,
    onCome: (hasCome: boolean) => void,
  ): boolean {
    const found = this.#travelling?.find(prompt);
    if (found === undefined || found.tokens < tokensMin) return false;
    const { id, bytes } = found.prefix;
    if (!this.#shelf.hasRoomFor(bytes)) return false;
    const waiting = this.#coming.get(id);
    if (waiting !== undefined) return waiting.push(onCome) > 0;
    this.#coming.set(id, [onCome]);
    this.#travelling?.want(id, (cells) => {
      if (cells !== undefined) this.#keep(cells, "disk");
      for (const tell of this.#coming.get(id) ?? []) tell(cells !== undefined);
      this.#coming.delete(id);
    });
    return true;
  }

  /**
   * Seeks cells for a prompt at other nodes.
   *
   * @param onCome Called once they are here, or won't come; with false for what came and can't be used.
   * @returns Whether somebody looks.
   */
  seek(
    prompt: readonly number[],
    search: CellsSearch,
    onCome: (isSound: boolean) => void,
  ): boolean {
    const { outside } = this.#model;
    // Images have other numbers in another runner.
    if (outside === undefined || prompt.some(isImageToken)) return false;
    const { keepers, readyTokens, msPerToken } = search;
    const id = `moved-${this.#count++}`;
    this.#sought.set(id, onCome);
    // A prompt's last token is computed in any case.
    const blocks = tokenBlocks(prompt.slice(0, -1)).subarray(0, CELLS_BLOCKS_BYTES_MAX);
    const measured = msPerToken === undefined ? {} : { msPerToken };
    outside.send({
      ...{ kind: "cells_sought", id, wish: { blocks, readyTokens }, keepers },
      ...measured,
    });
    return true;
  }

  /** Takes what is told of cells outside. */
  obey(command: Extract<CellsCommand, { kind: "cells_known" | "cells" | "cells_moved" }>): void {
    if (command.kind === "cells_known") return this.#travelling?.know(command.headers);
    if (command.kind === "cells_moved") return this.#expect(command);
    this.#travelling?.take(command.id, command.part, command.isLast);
  }

  #expect({ id, header }: Extract<CellsCommand, { kind: "cells_moved" }>): void {
    const tell = this.#sought.get(id);
    this.#sought.delete(id);
    if (tell === undefined) return;
    if (header === undefined || !this.#shelf.hasRoomFor(header.bytes)) return tell(true);
    this.#travelling?.expect({ id, header, isKept: false }, (cells) => {
      if (cells !== undefined) this.#keep(cells, "node");
      tell(cells !== undefined);
    });
  }

  /** Hands over what saves most of a prompt that another node is to compute, of the slots or of here. */
  async give(
    { ask, wish }: { readonly ask: number; readonly wish: CellsWish },
    slots: readonly CellsOfSlot[],
  ): Promise<void> {
    const served = (cells: CellsOfSlot | PrefixCells) =>
      cells.tokens.some(isImageToken) ? 0 : sharedBlockTokens(cells.tokens, wish.blocks);
    const held: readonly (CellsOfSlot | PrefixCells)[] = [...this.#cells.values(), ...slots];
    const [best] = held.map((cells) => ({ cells, tokens: served(cells) }))
      .filter(({ tokens }) => tokens > wish.readyTokens)
      // Of those that serve as well, what is shortest.
      .toSorted((a, b) => b.tokens - a.tokens || a.cells.tokens.length - b.cells.tokens.length);
    const read = best && ("state" in best.cells ? best.cells : await this.#read(best.cells));
    if (read === undefined || read.state.length > CELLS_BYTES_MAX) {
      return this.#model.outside?.send({ kind: "cells_lacking", ask });
    }
    this.#travelling?.give(ask, read);
  }

  /** Copies a slot's cells. */
  async save(cells: CellsOfSlot): Promise<void> {
    const held = this.#shelf.find([...cells.tokens, NO_TOKEN]);
    if (held?.tokens === cells.tokens.length) return this.#shelf.touch(held.prefix.id);
    const read = await this.#read(cells);
    if (read !== undefined) this.#keep(read, "memory");
  }

  /** Hands all cells over, of the slots and of here. */
  async handOver(slots: readonly CellsOfSlot[]): Promise<void> {
    for (const cells of slots) {
      const read = this.#travelling && await this.#read(cells);
      if (read !== undefined) this.#send(read);
    }
    // The newest first: there may be no time for all.
    for (const cells of [...this.#cells.values()].toReversed()) this.#send(cells);
    this.#model.outside?.send({ kind: "cells_kept" });
  }

  /**
   * Puts the cells that serve a prompt best in the place of a slot's.
   *
   * @returns Whose they are; undefined = they could not be used, and the slot has none.
   */
  async restore(slot: number, prompt: readonly number[]): Promise<CellsOrigin | undefined> {
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
    return cells.origin;
  }

  async #read(cells: CellsOfSlot): Promise<PrefixCells | undefined> {
    const { llama, context } = this.#model;
    const { slot, tokens, savedPositions, computeMs } = cells;
    const bytes = Number(llama.call.llama_state_seq_get_size(context, slot));
    if (bytes === 0 || !this.#shelf.hasRoomFor(bytes)) return undefined;
    const state = new Uint8Array(new ArrayBuffer(bytes));
    const read = llama.call.llama_state_seq_get_data_later(context, state, BigInt(bytes), slot);
    if (Number(await read) !== bytes) return undefined;
    return { tokens: Int32Array.from(tokens), savedPositions, state, computeMs };
  }

  #keep(cells: PrefixCells, origin: CellsOrigin): void {
    const id = String(this.#count++);
    const { tokens, state, computeMs } = cells;
    this.#cells.set(id, { ...cells, origin });
    const gone = this.#shelf.add({ id, tokens, bytes: state.length, computeMs });
    for (const prefix of gone) this.#giveUp(prefix, prefix.id === id ? undefined : tokens);
  }

  /** What isn't a part of `by` goes outside. */
  #giveUp({ id, tokens }: KeptPrefix, by: ArrayLike<number> | undefined): void {
    const cells = this.#cells.get(id);
    this.#cells.delete(id);
    const isPart = by !== undefined && sharedTokens(tokens, by) === tokens.length;
    if (cells !== undefined && !isPart) this.#send(cells);
  }

  /** Images have other numbers in another runner. */
  #send(cells: PrefixCells): void {
    if (!cells.tokens.some(isImageToken)) this.#travelling?.put(cells);
  }
}

/** Of no vocabulary. */
const NO_TOKEN = -1;

/** How many of a slot's tokens nobody would hold any more, were its cells given up for a prompt. */
export function tokensLost(
  tokens: readonly number[],
  by: { readonly others: readonly (readonly number[])[]; readonly keptTokens: number },
): number {
  const held = by.others.map((other) => sharedTokens(other, tokens));
  return tokens.length - Math.max(by.keptTokens, 0, ...held);
}
