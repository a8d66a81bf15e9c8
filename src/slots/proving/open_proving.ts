import type { Engine, KeptFile } from "../../ports/mod.ts";
import { ProofExchange } from "./proof_exchange.ts";
import { IdleProver, type IdleProverParts, ProofBook, provenEngine } from "./proofs.ts";

/** An engine whose models are computed as they were proven exact. */
export interface Proving {
  readonly engine: Engine;
  readonly prover: IdleProver;
  readonly exchange: ProofExchange;
}

/** With what the file holds; see {@link ProofBook.open}. */
export async function openProving(
  parts: Omit<IdleProverParts, "book"> & { readonly file: Pick<KeptFile, "read" | "write"> },
): Promise<Proving> {
  const book = await ProofBook.open(parts.file);
  const prover = new IdleProver({ ...parts, book });
  const exchange = new ProofExchange({ ...parts, book });
  return { engine: provenEngine(parts.engine, { book, prover, exchange }), prover, exchange };
}
