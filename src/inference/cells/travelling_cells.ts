import { createHash } from "node:crypto";
import { assert } from "../../base/mod.ts";
import { type KeptPrefix, PrefixShelf } from "../../core/kv_cache/mod.ts";
import {
  CELLS_BYTES_MAX,
  CELLS_PART_BYTES,
  type CellsHeader,
  type RunnerReply,
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
  readonly send: (
    reply: Extract<
      RunnerReply,
      { kind: "cells" | "cells_wanted" | "cells_damaged" | "cells_kept" }
    >,
  ) => void;
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
    const state = new Uint8Array(new ArrayBuffer(header.bytes));
    this.#coming.set(id, { header, state, count: 0, onCome });
    this.#options.send({ kind: "cells_wanted", id });
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
    const { header, state, onCome, count } = coming;
    const { savedPositions, computeMs } = header;
    const tokens = tokensFrom(header.tokens);
    const isWhole = count === state.length &&
      digestOf(this.#options.key, { ...header, state }) === header.sha256;
    if (isWhole) return onCome({ tokens, savedPositions, state, computeMs });
    this.#forget(id);
    this.#options.send({ kind: "cells_damaged", id });
    onCome(undefined);
  }

  /** Sends cells to be kept, unless they or longer ones are. */
  put({ tokens, savedPositions, state, computeMs }: PrefixCells): void {
    const bytes = state.length;
    const isKept = (this.#shelf.find([...tokens, -1])?.tokens ?? 0) === tokens.length;
    if (isKept || bytes > CELLS_BYTES_MAX) return;
    const told = bytesFrom(tokens);
    const id = createHash("sha256").update(told).digest("hex").slice(0, 32);
    const plain = { id, tokens: told, savedPositions, computeMs, bytes };
    const header = { ...plain, sha256: digestOf(this.#options.key, { ...plain, state }) };
    const replaces = this.#note(header).map((gone) => gone.id).filter((gone) => gone !== id);
    for (let at = 0; at < bytes; at += CELLS_PART_BYTES) {
      const part = state.subarray(at, at + CELLS_PART_BYTES);
      this.#options.send({ kind: "cells", header, replaces, part, at });
    }
  }

  #note(header: CellsHeader): readonly KeptPrefix[] {
    const { id, bytes, computeMs } = header;
    this.#headers.set(id, header);
    const gone = this.#shelf.add({ id, tokens: tokensFrom(header.tokens), bytes, computeMs });
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

function tokensFrom(bytes: Uint8Array): Int32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Int32Array.from(
    { length: bytes.length >> 2 },
    (_, index) => view.getInt32(index * 4, true),
  );
}

function bytesFrom(tokens: Readonly<Int32Array>): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(tokens.length * 4));
  const view = new DataView(bytes.buffer);
  tokens.forEach((token, index) => view.setInt32(index * 4, token, true));
  return bytes;
}
