/** Which promise the bug breaks: safety, liveness, or durability. */
export type BugKind = "S" | "L" | "D";

/** One replacement in one source file. */
export interface Edit {
  /** From the root of the repository. */
  readonly file: string;
  /** Must stand in the file exactly once: a patch that no longer fits tests nothing. */
  readonly find: string;
  readonly replace: string;
}

/** A bug of somebody's past, as a patch that puts it into these sources. The product never contains it. */
export interface Mutant {
  /** Unique; a few words with dashes. */
  readonly name: string;
  /** Where the bug was seen first: a row of the table of real bugs, or the rule of the paper that it breaks. */
  readonly origin: string;
  /** What the bug makes the core do. */
  readonly does: string;
  readonly kind: BugKind;
  readonly edits: readonly Edit[];
  /** Why runs do not tell this mutant from the original, where they do not. It counts as a survivor all the same. */
  readonly survivesBecause?: string;
}

/** Applies the edits that belong to `file`. @throws {Error} when a text to find is absent or there twice. */
export function patch(source: string, file: string, mutant: Mutant): string {
  return mutant.edits.filter((edit) => edit.file === file).reduce((text, { find, replace }) => {
    const count = text.split(find).length - 1;
    if (count !== 1) {
      throw new Error(`Cannot apply mutant "${mutant.name}": ${file} has ${count} times: ${find}`);
    }
    return text.replace(find, () => replace);
  }, source);
}
