import type { Exactness, ExactProof, ExactWish } from "../../protocol/mod.ts";
import type { Price } from "./find_policy.ts";

/** `auto` takes a policy only when a prompt keeps so much of its speed. */
const AUTO_PREFILL_RATIO_MIN = 0.7;
/** The same of an answer: what a policy leaves alone was measured 0.97 to 1.03 times as fast. */
const AUTO_DECODE_RATIO_MIN = 0.95;

const FULL_SPEED = { prefillRatio: 1, decodeRatio: 1, proofMs: 0 };

/** How a copy is loaded that nobody wants exact, or that is no matter of answers. */
export function inexact(reason: string): Exactness {
  return { isExact: false, isPossible: true, policy: "plain", reason, ...FULL_SPEED };
}

/** Whether a policy of this price is taken where nobody asks for exact answers. */
export function isWorthAuto({ prefillRatio, decodeRatio }: Price): boolean {
  return prefillRatio >= AUTO_PREFILL_RATIO_MIN && decodeRatio >= AUTO_DECODE_RATIO_MIN;
}

/** How a copy is loaded, by what was proven of its model. `isNew`: the proof was made for this load. */
export function exactnessOf(
  proof: ExactProof,
  wish: Exclude<ExactWish, "off">,
  { isNew }: { readonly isNew: boolean },
): Exactness {
  const { policy, reason, prefillRatio, decodeRatio } = proof;
  const proofMs = isNew ? proof.proofMs : 0;
  if (policy === undefined) return { ...inexact(reason), isPossible: !proof.isFinished, proofMs };
  const found = { isPossible: true, policy, prefillRatio, decodeRatio, proofMs };
  if (wish === "on" || isWorthAuto(proof)) return { ...found, isExact: true, reason: "" };
  return {
    ...found,
    isExact: false,
    policy: "plain",
    reason: `exact answers (${policy}) would cost more than \`auto\` gives for them: prompts at ` +
      `${prefillRatio.toFixed(2)}, answers at ${decodeRatio.toFixed(2)} of their speed`,
  };
}
