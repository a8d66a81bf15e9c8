import type { Decoded } from "../../protocol/mod.ts";
import { isOwnSetting } from "./admission.ts";
import { type CatalogueTables, emptyTables } from "./rows.ts";
import { decodeSnapshot, encodeSnapshot } from "./snapshot.ts";

/** Where the log of a founded cluster begins. */
const FOUNDING_INDEX = 1;
/** Settings about single nodes, which the new cluster does not have. */
const NODE_SETTING = /^(drain|leave)\./;

/**
 * What a new cluster starts from after the old one was lost: models, their wanted replicas, API keys, settings and
 * quarantine of a snapshot. Members, voters, pins, join tokens, client sessions and the list of changes stay behind: they
 * name machines, promises and entries that are gone. Never throws, on any bytes.
 */
export function refoundCatalogue(bytes: Uint8Array): Decoded<Uint8Array> {
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
    apiKeys: mapRows(old.apiKeys, (row) => ({ ...row, revision })),
    keyHistory: old.keyHistory,
    settings: mapRows(
      new Map([...old.settings].filter(([key]) => !NODE_SETTING.test(key) && !isOwnSetting(key))),
      (row) => ({ ...row, revision }),
    ),
    quarantine: mapRows(old.quarantine, (row) => ({ ...row, revision })),
  };
  return { kind: "decoded", value: encodeSnapshot(tables, FOUNDING_INDEX) };
}

function mapRows<Key, Row>(table: ReadonlyMap<Key, Row>, change: (row: Row) => Row): Map<Key, Row> {
  return new Map([...table].map(([key, row]) => [key, change(row)]));
}
