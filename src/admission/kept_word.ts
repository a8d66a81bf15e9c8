import type { SecretFiles } from "../ports/mod.ts";
import {
  decodeSignedRecovery,
  encodeSignedRecovery,
  type SignedRecovery,
} from "../protocol/mod.ts";

/** What a node has heard of recoveries that are not its own, as it keeps it over restarts. */
export interface KeptWord {
  /** By which this node's cluster is over. */
  readonly over: SignedRecovery | undefined;
  /** Others of the same cluster. */
  readonly rivals: readonly SignedRecovery[];
}

/** What a node knows that has heard nothing. */
export const NO_WORD: KeptWord = { over: undefined, rivals: [] };

const FILE = "recovered_elsewhere.txt";

/** What was kept for this cluster. @throws StorageError: who can't know whether it is out must not take part. */
export async function readWord(
  files: SecretFiles,
  clusterId: string | undefined,
): Promise<KeptWord> {
  const bytes = await files.read(FILE);
  if (bytes === undefined) return NO_WORD;
  const [ofCluster, over = "", ...rivals] = new TextDecoder().decode(bytes).trimEnd().split("\n");
  if (ofCluster !== clusterId) return NO_WORD;
  return { over: decoded(over)[0], rivals: rivals.flatMap(decoded) };
}

/** One line each: the cluster, what ended it, others. */
export async function writeWord(
  files: SecretFiles,
  clusterId: string,
  { over, rivals }: KeptWord,
): Promise<void> {
  const lines = [
    clusterId,
    over === undefined ? "-" : encodeSignedRecovery(over),
    ...rivals.map(encodeSignedRecovery),
  ];
  await files.write(FILE, new TextEncoder().encode(`${lines.join("\n")}\n`));
}

function decoded(line: string): readonly SignedRecovery[] {
  const read = decodeSignedRecovery(line);
  return read.kind === "decoded" ? [read.value] : [];
}
