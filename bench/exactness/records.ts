/**
 * What runs of `bench:exact` have found, kept between them.
 *
 * @module
 */
import { dirname } from "node:path";
import type { ExactPolicy } from "../../src/protocol/mod.ts";

/** Some points of one kind, all of one round. */
export interface PointsRecord {
  readonly is: "points";
  readonly model: string;
  readonly kind: string;
  /** Counted from 0 for each model and kind: what is drawn at random depends on it alone. */
  readonly round: number;
  readonly compared: number;
  readonly same: number;
}

/** What it took to know that a model is exact. Milliseconds. */
export interface ProofRecord {
  readonly is: "proof";
  readonly model: string;
  readonly policy: ExactPolicy;
  readonly proofMs: number;
  /** Processor time of the runner until it was loaded: proven, and known already. */
  readonly provenCpuMs: number;
  readonly knownCpuMs: number;
}

/** Processor time under one policy beside that under `plain`. */
export interface PriceRecord {
  readonly is: "price";
  readonly model: string;
  readonly policy: ExactPolicy;
  /** Speed ÷ speed of `plain`. */
  readonly prefillRatio: number;
  readonly decodeRatio: number;
}

/** What it brought to compute several tokens at once. */
export interface DraftsRecord {
  readonly is: "drafts";
  readonly model: string;
  /** What was answered. */
  readonly text: string;
  readonly rounds: number;
  /** Time without ÷ time with them, of the runner's processor and on the wall. */
  readonly cpuRatio: number;
  readonly wallRatio: number;
  readonly drafted: number;
  readonly accepted: number;
  /** See `ExactProof`. */
  readonly costs: readonly number[];
}

/** What is found. */
export type Finding = PointsRecord | ProofRecord | PriceRecord | DraftsRecord;

/** A line of the file. */
export type ExactRecord = Finding & {
  /** Of the copies that were compared: what was found of others says nothing about them. */
  readonly numericClass: string;
  readonly commit: string;
  readonly date: string;
};

/** All that the file holds; a line that was cut off is none. */
export async function readRecords(path: string): Promise<readonly ExactRecord[]> {
  const text = await Deno.readTextFile(path).catch(() => "");
  return text.split("\n").filter((line) => line.endsWith("}"))
    .map((line): ExactRecord => JSON.parse(line));
}

export async function appendRecord(path: string, record: ExactRecord): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeTextFile(path, `\n${JSON.stringify(record)}\n`, { append: true });
}

/** Points of one kind in all, and the number of the next round. */
export function tally(
  records: readonly ExactRecord[],
  of: { readonly model: string; readonly kind: string; readonly numericClass?: string },
): { readonly compared: number; readonly same: number; readonly nextRound: number } {
  let [compared, same, nextRound] = [0, 0, 0];
  for (const record of records) {
    const isOther = of.numericClass !== undefined && record.numericClass !== of.numericClass;
    if (record.is !== "points" || record.model !== of.model || record.kind !== of.kind) continue;
    if (isOther) continue;
    compared += record.compared;
    same += record.same;
    nextRound = Math.max(nextRound, record.round + 1);
  }
  return { compared, same, nextRound };
}
