import type { Moment } from "../../incidents/replaying/mod.ts";

/** A step of the timeline. */
export interface IncidentRow {
  readonly atMs: number;
  readonly node: string;
  /** With which one, where there are many: `answer ID`. */
  readonly part: string;
  readonly came: string;
  readonly decided: string;
  readonly moment: Moment | undefined;
}

/** What the replayer is told, once. */
export interface ReplayWish {
  /** Of the file. */
  readonly bytes: ArrayBuffer;
  /** Nodes that the page knows; those of the file name themselves. */
  readonly known: readonly { readonly nodeId: string; readonly name: string }[];
}

/** What the replayer says. */
export type ReplayerMessage =
  | {
    readonly kind: "begun";
    /** Names. */
    readonly nodes: readonly string[];
    /** Of nodes that told nothing: who, and why. */
    readonly silent: readonly string[];
  }
  /** `steps`: how many are behind it. */
  | { readonly kind: "rows"; readonly rows: readonly IncidentRow[]; readonly steps: number }
  /** `difference`: where it was decided otherwise; absent = nowhere. */
  | { readonly kind: "ended"; readonly steps: number; readonly difference?: readonly string[] }
  | { readonly kind: "failed"; readonly reason: string };
