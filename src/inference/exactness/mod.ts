/**
 * Whether a model's logits depend on the shape of a batch, and how it must be computed so that they don't: found by
 * computing the same tokens in many shapes and comparing bit by bit. Knows no library: a `ProofStand` is what it asks of
 * one. Start reading in `proof.ts`.
 *
 * @module
 */
export { findPolicy } from "./find_policy.ts";
export { type PolicyTraits, traitsOf } from "./policies.ts";
export { PROOF_CELLS } from "./proof.ts";
export { takeRows } from "./rows.ts";
export { DRAFTED_ROWS_MAX, type ProofRows, type ProofStand, STAND_BATCH_TOKENS } from "./stand.ts";
export { exactnessOf, inexact, isWorthAuto } from "./verdict.ts";
