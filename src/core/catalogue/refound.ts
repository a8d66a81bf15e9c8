import type { NodeId } from "../../base/mod.ts";
import {
  type Decoded,
  decodeLeftBehind,
  decodeSignedRecovery,
  encodeLeftBehind,
  encodeSignedRecovery,
  type LeftBehind,
  RECOVERIES_MAX,
  type SignedRecovery,
} from "../../protocol/mod.ts";
import { isOwnSetting, LEFT_BEHIND_KEY, RECOVERY_KEY } from "./admission.ts";
import { type CatalogueTables, emptyTables, type SettingRow } from "./rows.ts";
import { decodeSnapshot, encodeSnapshot } from "./snapshot.ts";

/** Members of the old cluster that are told of a recovery; those beyond are told when they ask. */
const LEFT_BEHIND_MAX = 64;
/** Where the log of a founded cluster begins. */
const FOUNDING_INDEX = 1;

/**
 * What a new cluster starts from after the old one was lost: models, their wanted replicas, API keys, settings and
 * quarantine of a snapshot. Members, voters, pins, join tokens, client sessions and the list of changes stay behind: they
 * name machines, promises and entries that are gone. `more`: settings that it begins with besides, and whoever was
 * revoked stays out. Never throws, on any bytes.
 */
export function refoundCatalogue(
  bytes: Uint8Array,
  more: {
    readonly settings: readonly { readonly key: string; readonly value: string }[];
    readonly keepsRevoked: true;
  } | undefined = undefined,
): Decoded<Uint8Array> {
  const decoded = decodeSnapshot(bytes);
  if (decoded.kind === "malformed") return decoded;
  const old = decoded.value.tables;
  // Revisions are indexes of a log that begins anew: kept ones could be met again by other entries.
  const revision = FOUNDING_INDEX;
  const tables: CatalogueTables = {
    ...emptyTables(),
    schema: old.schema,
    models: mapRows(old.models, (row) => ({ ...row, pins: [], revision })),
    manifests: new Map(old.manifests),
    // Of no entry of the new log: its authority has never been theirs.
    members: new Map(
      more === undefined ? [] : [...old.members].filter(([, row]) => row.standing === "revoked")
        .map(([key, row]) => [key, { ...row, revision: 0 }]),
    ),
    apiKeys: mapRows(old.apiKeys, (row) => ({ ...row, revision })),
    keyHistory: old.keyHistory,
    settings: new Map([
      ...mapRows(
        new Map([...old.settings].filter(([key]) => !isOwnSetting(key))),
        (row) => ({ ...row, revision }),
      ),
      ...(more?.settings ?? []).map((row) => [row.key, { ...row, revision }] as const),
    ]),
    quarantine: mapRows(old.quarantine, (row) => ({ ...row, revision })),
  };
  return { kind: "decoded", value: encodeSnapshot(tables, FOUNDING_INDEX) };
}

function mapRows<Key, Row>(table: ReadonlyMap<Key, Row>, change: (row: Row) => Row): Map<Key, Row> {
  return new Map([...table].map(([key, row]) => [key, change(row)]));
}

/** Key of the setting that keeps a member that was left behind. */
export function leftBehindKey(nodeId: NodeId): string {
  return `left_behind.${nodeId}`;
}

/** What a recovered cluster is to keep: how it came about, oldest first, and who has to be told. */
export function recoverySettings(
  recoveries: readonly SignedRecovery[],
  left: readonly LeftBehind[],
): readonly { readonly key: string; readonly value: string }[] {
  return [
    ...recoveries.slice(-RECOVERIES_MAX).map((signed, at) => ({
      key: `recovery.${at}`,
      value: encodeSignedRecovery(signed),
    })),
    ...left.slice(0, LEFT_BEHIND_MAX).map((member) => ({
      key: leftBehindKey(member.nodeId),
      value: encodeLeftBehind(member),
    })),
  ];
}

/** Settings as they are looked up. */
interface Settings {
  /** In any order. */
  settings(): Iterable<Pick<SettingRow, "key" | "value">>;
}

/** The recoveries that led to this cluster, oldest first. */
export function recoveriesOf(catalogue: Settings): readonly SignedRecovery[] {
  return valuesOf(catalogue, RECOVERY_KEY).flatMap((value) => {
    const decoded = decodeSignedRecovery(value);
    return decoded.kind === "decoded" ? [decoded.value] : [];
  });
}

/** Members of the cluster before that have not come back. */
export function leftBehindOf(catalogue: Settings): readonly LeftBehind[] {
  return valuesOf(catalogue, LEFT_BEHIND_KEY).flatMap((value) => {
    const decoded = decodeLeftBehind(value);
    return decoded.kind === "decoded" ? [decoded.value] : [];
  });
}

function valuesOf(catalogue: Settings, pattern: RegExp): readonly string[] {
  return [...catalogue.settings()].filter(({ key }) => pattern.test(key))
    .sort((left, right) => left.key < right.key ? -1 : 1).map(({ value }) => value);
}
