import { ADDRESS_LIST_WIRE } from "../address_list.ts";
import { CATALOGUE_SCHEMA } from "../catalogue.ts";
import { type FieldCodec, recordField, uintField } from "../field_codec.ts";

/** From the oldest to the newest; both are spoken. */
export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

/** What a node speaks, and what its cluster's catalogue asks of whoever reads it. */
export interface SpokenVersions {
  /** Of all that members say to each other behind the hello: Raft, gossip, streams. */
  readonly wire: VersionRange;
  /** From the one that is in use to the newest that this node applies. */
  readonly catalogue: VersionRange;
}

/**
 * What this program speaks. The newest goes up with any change of what members send each other that an older program can't read;
 * the oldest when it can't be spoken any more.
 */
const WIRE_VERSIONS: VersionRange = { min: 1, max: ADDRESS_LIST_WIRE };
/** What programs speak that say nothing of it. */
const UNSAID: SpokenVersions = { wire: { min: 1, max: 1 }, catalogue: { min: 1, max: 2 } };
const VERSION_MAX = 1_000;

/** What this program speaks where the cluster's catalogue is of this version. */
export function spokenVersions(catalogueInUse = 1): SpokenVersions {
  return { wire: WIRE_VERSIONS, catalogue: { min: catalogueInUse, max: CATALOGUE_SCHEMA } };
}

const rangeField = recordField<VersionRange>({
  min: uintField(VERSION_MAX),
  max: uintField(VERSION_MAX),
});

/** How they are written. */
export const spokenVersionsField: FieldCodec<SpokenVersions> = recordField({
  wire: rangeField,
  catalogue: rangeField,
});

/** A node and what it speaks; undefined = it has not said. */
export interface Speaker {
  readonly nodeId: string;
  readonly speaks: SpokenVersions | undefined;
}

/** The wire's newest version that both speak, or why there is none to talk by, with both sides' versions and what to do. */
export function agreeOnVersions(
  one: Speaker,
  other: Speaker,
): { readonly kind: "agreed"; readonly wire: number } | {
  readonly kind: "apart";
  readonly text: string;
} {
  const [ours, theirs] = [one.speaks ?? UNSAID, other.speaks ?? UNSAID];
  for (const what of ["wire", "catalogue"] as const) {
    if (Math.max(ours[what].min, theirs[what].min) <= Math.min(ours[what].max, theirs[what].max)) {
      continue;
    }
    const older = ours[what].max < theirs[what].max ? one : other;
    const text = `node ${one.nodeId} speaks ${what} ${formatRange(ours[what])}, ` +
      `node ${other.nodeId} ${what} ${formatRange(theirs[what])}: ` +
      `update odist on node ${older.nodeId}`;
    return { kind: "apart", text };
  }
  return { kind: "agreed", wire: Math.min(ours.wire.max, theirs.wire.max) };
}

function formatRange({ min, max }: VersionRange): string {
  return min === max ? `version ${min}` : `versions ${min} to ${max}`;
}
