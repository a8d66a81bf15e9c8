import { sha256Hex } from "../../base/mod.ts";
import { type CatalogueCommand, type ModelName, parseManifest } from "../../protocol/mod.ts";
import {
  type CatalogueTables,
  MANIFESTS_BYTES_MAX,
  type ModelRow,
  PINS_MAX,
  type Refusal,
  TABLE_ROWS_MAX,
} from "./rows.ts";

type CommandOf<Kind extends CatalogueCommand["kind"]> = Extract<
  CatalogueCommand,
  { readonly kind: Kind }
>;

/** Under which key a model is kept. The grammar is ASCII, so lower case means the same on every machine. */
export function modelKey(name: ModelName): string {
  return `${name.host}/${name.namespace}/${name.model}:${name.tag}`.toLowerCase();
}

export function putModel(
  tables: CatalogueTables,
  command: CommandOf<"put_model">,
  index: number,
): Refusal | undefined {
  const { manifest, name, atMs, expected } = command;
  if (parseManifest(manifest) === undefined) return "bad_manifest";
  const manifestDigest = sha256Hex(manifest);
  const refusal = checkRevision(tables.models.get(modelKey(name)), expected);
  if (refusal !== undefined) return refusal;
  if (!tables.manifests.has(manifestDigest)) {
    const bytes = [...tables.manifests.values()].reduce((sum, held) => sum + held.length, 0);
    if (bytes + manifest.length > MANIFESTS_BYTES_MAX) return "table_full";
  }
  return pointModel(tables, { name, manifestDigest, manifest, atMs, index });
}

export function copyModel(
  tables: CatalogueTables,
  command: CommandOf<"copy_model">,
  index: number,
): Refusal | undefined {
  const { source, destination: name, atMs, expected } = command;
  const held = tables.models.get(modelKey(source));
  const manifest = held && tables.manifests.get(held.manifestDigest);
  if (held === undefined || manifest === undefined) return "not_found";
  const refusal = checkRevision(tables.models.get(modelKey(name)), expected);
  if (refusal !== undefined) return refusal;
  return pointModel(tables, {
    name,
    manifestDigest: held.manifestDigest,
    manifest,
    atMs,
    index,
  });
}

export function deleteModel(
  tables: CatalogueTables,
  command: CommandOf<"delete_model">,
): Refusal | undefined {
  const key = modelKey(command.name);
  const row = tables.models.get(key);
  if (row === undefined) return "not_found";
  const refusal = checkRevision(row, command.expected);
  if (refusal !== undefined) return refusal;
  tables.models.delete(key);
  dropUnusedManifest(tables, row.manifestDigest);
}

export function setReplicas(
  tables: CatalogueTables,
  command: CommandOf<"set_replicas">,
  index: number,
): Refusal | undefined {
  const key = modelKey(command.name);
  const row = tables.models.get(key);
  if (row === undefined) return "not_found";
  const refusal = checkRevision(row, command.expected);
  if (refusal !== undefined) return refusal;
  tables.models.set(key, { ...row, replicas: command.replicas, revision: index });
}

export function pinModel(
  tables: CatalogueTables,
  command: CommandOf<"pin_model" | "unpin_model">,
  index: number,
): Refusal | undefined {
  const key = modelKey(command.name);
  const row = tables.models.get(key);
  if (row === undefined) return "not_found";
  const others = row.pins.filter((nodeId) => nodeId !== command.nodeId);
  if (command.kind === "unpin_model") {
    if (others.length === row.pins.length) return "not_found";
    tables.models.set(key, { ...row, pins: others, revision: index });
    return;
  }
  if (tables.members.get(command.nodeId)?.standing !== "admitted") return "not_a_member";
  if (others.length >= PINS_MAX) return "table_full";
  const pins = [...others, command.nodeId].sort();
  tables.models.set(key, { ...row, pins, revision: index });
}

/** A row that must have, or must not have, some revision. */
export function checkRevision(
  row: { readonly revision: number } | undefined,
  expected: number | undefined,
): Refusal | undefined {
  if (expected === undefined || expected === (row?.revision ?? 0)) return undefined;
  return expected === 0 ? "already_exists" : "revision_mismatch";
}

function pointModel(
  tables: CatalogueTables,
  target: {
    readonly name: ModelName;
    readonly manifestDigest: string;
    readonly manifest: Uint8Array;
    readonly atMs: number;
    readonly index: number;
  },
): Refusal | undefined {
  const { name, manifestDigest, manifest, atMs, index } = target;
  const key = modelKey(name);
  const held = tables.models.get(key);
  if (held === undefined && tables.models.size >= TABLE_ROWS_MAX.models) return "table_full";
  tables.manifests.set(manifestDigest, manifest);
  const row: ModelRow = {
    // The first spelling wins, as on a case-insensitive disk.
    name: held?.name ?? name,
    manifestDigest,
    modifiedAtMs: atMs,
    replicas: held?.replicas ?? 0,
    pins: held?.pins ?? [],
    revision: index,
  };
  tables.models.set(key, row);
  if (held !== undefined) dropUnusedManifest(tables, held.manifestDigest);
}

function dropUnusedManifest(tables: CatalogueTables, digest: string): void {
  for (const row of tables.models.values()) if (row.manifestDigest === digest) return;
  tables.manifests.delete(digest);
}
