import { createHash } from "node:crypto";
import { assert } from "../../base/mod.ts";
import { type KeptPrefix, PrefixShelf } from "../../core/kv_cache/mod.ts";
import {
  CELLS_BYTES_MAX,
  CELLS_PART_BYTES,
  type CellsHeader,
  type CellsReply,
  cellsTokens,
} from "../../protocol/mod.ts";

/** Cells that belong to no slot, and the tokens that they are of. */
export interface PrefixCells {
  readonly tokens: Readonly<Int32Array>;
  readonly savedPositions: number;
  readonly state: Uint8Array<ArrayBuffer>;
  readonly computeMs: number;
}

/** Who keeps cells outside. */
export interface CellsVoice {
  /** What they hold for. */
  readonly key: string;
  readonly send: (reply: CellsReply) => void;
}

/** How cells leave a runner and come back. */
export interface TravellingCellsOptions extends CellsVoice {
  readonly canCut: boolean;
}

/** The cells of a model that are kept outside its runner. */
export class TravellingCells {
  readonly #options: TravellingCellsOptions;
  readonly #shelf: PrefixShelf;
  readonly #headers = new Map<string, CellsHeader>();
  readonly #coming = new Map<string, Coming>();

  constructor(options: TravellingCellsOptions) {
    this.#options = options;
    this.#shelf = new PrefixShelf({ bytesMax: Infinity, canCut: options.canCut });
  }

  /** They are kept for this model. */
  know(headers: readonly CellsHeader[]): void {
    for (const header of headers) this.#note(header);
  }

  /** What would save a prompt most. */
  find(prompt: readonly number[]): ReturnType<PrefixShelf["find"]> {
    return this.#shelf.find(prompt);
  }

  get hasAny(): boolean {
    return this.#headers.size > 0;
  }

  /** As {@link PrefixShelf.matchedTokens}. */
  matchedTokens(prompt: readonly number[]): number {
    return this.#shelf.matchedTokens(prompt);
  }

  /** Asks for cells; `onCome` is called once they are there, or with nothing where they can't be had. */
  want(id: string, onCome: (cells: PrefixCells | undefined) => void): void {
    const header = this.#headers.get(id);
    assert(header !== undefined, "Cells that are wanted are known", { id });
    this.expect({ id, header, isKept: true }, onCome);
    this.#options.send({ kind: "cells_wanted", id });
  }

  /** Cells are on their way by a name of their own; `onCome` as above. */
  expect(
    { id, ...coming }: {
      readonly id: string;
      readonly header: CellsHeader;
      readonly isKept: boolean;
    },
    onCome: (cells: PrefixCells | undefined) => void,
  ): void {
    const state = new Uint8Array(new ArrayBuffer(coming.header.bytes));
    this.#coming.set(id, { ...coming, state, count: 0, onCome });
  }

  /** Sends cells that another node asked for. */
  give(ask: number, cells: PrefixCells): void {
    this.#send({ header: this.#headerOf(cells), replaces: [], ask }, cells.state);
  }

  /** A part of what is wanted came; "last" may come early where there is no more. */
  take(id: string, part: Uint8Array, isLast: boolean): void {
    const coming = this.#coming.get(id);
    if (coming === undefined) return;
    const room = coming.state.subarray(coming.count);
    if (part.length <= room.length) room.set(part);
    coming.count += part.length;
    if (!isLast) return;
    this.#coming.delete(id);
    const { header, state, onCome, count, isKept } = coming;
    const { savedPositions, computeMs } = header;
    const tokens = cellsTokens(header);
    const isWhole = count === state.length &&
      digestOf(this.#options.key, { ...header, state }) === header.sha256;
    if (isWhole) return onCome({ tokens, savedPositions, state, computeMs });
    if (isKept) {
      this.#forget(id);
      this.#options.send({ kind: "cells_damaged", id });
    }
    onCome(undefined);
  }

  /** Sends cells to be kept, unless they or longer ones are. */
  put(cells: PrefixCells): void {
    const { tokens, state } = cells;
    const isKept = (this.#shelf.find([...tokens, -1])?.tokens ?? 0) === tokens.length;
    if (isKept || state.length > CELLS_BYTES_MAX) return;
    const header = this.#headerOf(cells);
    const replaces = this.#note(header).map((gone) => gone.id).filter((gone) => gone !== header.id);
    this.#send({ header, replaces }, state);
  }

  #headerOf({ tokens, savedPositions, state, computeMs }: PrefixCells): CellsHeader {
    const told = bytesFrom(tokens);
    const id = createHash("sha256").update(told).digest("hex").slice(0, 32);
    const plain = { id, tokens: told, savedPositions, computeMs, bytes: state.length };
    return { ...plain, sha256: digestOf(this.#options.key, { ...plain, state }) };
  }

  #send(
    word: {
      readonly header: CellsHeader;
      readonly replaces: readonly string[];
      readonly ask?: number;
    },
    state: Uint8Array,
  ): void {
    for (let at = 0; at < state.length; at += CELLS_PART_BYTES) {
      const part = state.subarray(at, at + CELLS_PART_BYTES);
      this.#options.send({ kind: "cells", ...word, part, at });
    }
  }

  #note(header: CellsHeader): readonly KeptPrefix[] {
    const { id, bytes, computeMs } = header;
    this.#headers.set(id, header);
    const gone = this.#shelf.add({ id, tokens: cellsTokens(header), bytes, computeMs });
    for (const prefix of gone) this.#headers.delete(prefix.id);
    return gone;
  }

  #forget(id: string): void {
    this.#shelf.drop(id);
    this.#headers.delete(id);
  }
}

/** Cells on their way. */
interface Coming {
  readonly header: CellsHeader;
  readonly state: Uint8Array<ArrayBuffer>;
  count: number;
  /** Whether whoever keeps them is told when they are damaged. */
  readonly isKept: boolean;
  readonly onCome: (cells: PrefixCells | undefined) => void;
}

function digestOf(
  key: string,
  cells: Omit<CellsHeader, "sha256"> & { readonly state: Uint8Array },
): string {
  const { id, savedPositions, computeMs, bytes, tokens, state } = cells;
  const told = JSON.stringify([key, id, savedPositions, computeMs, bytes, tokens.length]);
  return createHash("sha256").update(told).update(tokens).update(state).digest("hex");
}

function bytesFrom(tokens: Readonly<Int32Array>): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(tokens.length * 4));
  const view = new DataView(bytes.buffer);
  tokens.forEach((token, index) => view.setInt32(index * 4, token, true));
  return bytes;
}
