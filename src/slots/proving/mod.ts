/**
 * How models are computed exactly: what was proven of them, here and on machines like this one, and proofs that are made
 * while nobody is answered. Start with `proofs.ts`.
 *
 * @module
 */
export { openProving } from "./open_proving.ts";
export type { ProofExchange } from "./proof_exchange.ts";
export type { IdleProver } from "./proofs.ts";
