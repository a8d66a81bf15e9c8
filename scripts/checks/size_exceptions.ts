/**
 * What is larger than the limits and why. Rows may be lowered and deleted; a new one needs a better reason than haste.
 *
 * @module
 */

/** Everything that may be larger than the limits. */
export interface SizeExceptions {
  readonly files: readonly {
    readonly file: string;
    readonly lines: number;
    readonly because: string;
  }[];
  readonly functions: readonly {
    readonly file: string;
    readonly name: string;
    readonly lines: number;
    readonly because: string;
  }[];
  readonly folders: readonly {
    readonly folder: string;
    readonly sources: number;
    readonly because: string;
  }[];
}

export const SIZE_EXCEPTIONS: SizeExceptions = { files: [], functions: [], folders: [] };
