import { type Digest, type NodeId, parseDigest } from "../base/mod.ts";
import { ByteReader, ByteWriter, type Decoded } from "./bytes.ts";
import {
  bytesField,
  type FieldCodec,
  listField,
  optionalField,
  recordField,
  textField,
  uintField,
  type ValueOf,
} from "./field_codec.ts";
import { isModelName, type ModelName } from "./model_name.ts";
import { scopesField } from "./scopes.ts";

/** The newest schema this program applies. Each new command kind or changed meaning raises it by one. */
export const CATALOGUE_SCHEMA = 2;
/** From here on a command may say who had it made. */
export const ORIGIN_SCHEMA = 2;
/** Bytes of one manifest in the catalogue; every node keeps all of them, so it is less than a registry allows. */
export const CATALOGUE_MANIFEST_BYTES_MAX = 1024 * 1024;
/** Bytes of one encoded command; a longer one is refused before it is proposed. */
export const CATALOGUE_COMMAND_BYTES_MAX = CATALOGUE_MANIFEST_BYTES_MAX + 4096;
/** Random bytes by which a client knows its own `open_session`. */
export const SESSION_NONCE_BYTES = 16;
/** Voters a cluster may want. */
const VOTERS_MAX = 7;
/** Replicas of one model that may be wanted. */
export const REPLICAS_MAX = 1_000;

const ID_PATTERN = /^[a-z0-9][a-z0-9_-]{0,31}$/;
const SETTING_PATTERN = /^[a-z][a-z0-9_.]{0,63}$/;

/** Sixteen lower-case hex digits. */
export const nodeIdField: FieldCodec<NodeId> = {
  write: (writer, nodeId) => void writer.hex64(nodeId),
  read: (reader) => reader.hex64() as NodeId,
};

/** `sha256:` and 64 digits. */
export const digestField: FieldCodec<Digest> = textField<Digest>(
  71,
  (text) => text.startsWith("sha256:") && parseDigest(text) === text,
);

/** A full model name that obeys the grammar. */
export const modelNameField: FieldCodec<ModelName> = {
  write: (writer, name) => PARTS.write(writer, name),
  read: (reader) => {
    const name = PARTS.read(reader);
    if (reader.fault === undefined && !isModelName(name)) reader.fail("name not allowed");
    return name;
  },
};
const PARTS = recordField<Omit<ModelName, "node">>({
  host: textField(350),
  namespace: textField(80),
  model: textField(80),
  tag: textField(80),
});

/** Milliseconds since 1970 by the proposer's clock: shown to people, and compared with expiry times it set itself. */
export const timeField: FieldCodec<number> = uintField();
/** Name of a key or token, chosen by its creator: lower-case, digits, `_` and `-`. */
export const accessIdField: FieldCodec<string> = textField(32, (text) => ID_PATTERN.test(text));
/** SHA-256 of a secret; the secret itself is never in the catalogue. */
export const secretHashField: FieldCodec<Uint8Array> = bytesField(32, 32);
/** Something for people to read. */
export const labelField: FieldCodec<string> = textField(256);
/** Key of a setting. */
export const settingKeyField: FieldCodec<string> = textField(
  64,
  (text) => SETTING_PATTERN.test(text),
);
/** Value of a setting, as text. */
export const settingValueField: FieldCodec<string> = textField(4096);
/** A public key in SPKI form. */
export const publicKeyField: FieldCodec<Uint8Array> = bytesField(32, 1024);
/** Voters wanted, by id. */
export const votersField: FieldCodec<readonly NodeId[]> = listField(nodeIdField, VOTERS_MAX);

/** The revision a row must have: undefined = any, 0 = the row must not exist. */
const expectedField = optionalField(uintField());

/** Fields of each command. Revisions are log indexes: the entry that last changed a row. */
const FIELDS = {
  /**
   * Begins a client session; its id is the entry's index. Never carries a request id: the nonce, drawn by the client, is
   * what makes a repeated one harmless and tells the client which session is its own.
   */
  open_session: recordField({ nonce: bytesField(SESSION_NONCE_BYTES, SESSION_NONCE_BYTES) }),
  /** Ends a session; its remembered outcomes are dropped. */
  close_session: recordField({}),
  /** Points a name at a manifest. `manifest` are the exact bytes a registry would serve. */
  put_model: recordField({
    name: modelNameField,
    manifest: bytesField(2, CATALOGUE_MANIFEST_BYTES_MAX),
    atMs: timeField,
    expected: expectedField,
  }),
  /** Points `destination` at the manifest of `source`; wanted replicas and pins are not copied. */
  copy_model: recordField({
    source: modelNameField,
    destination: modelNameField,
    atMs: timeField,
    expected: expectedField,
  }),
  delete_model: recordField({ name: modelNameField, expected: expectedField }),
  /** How many nodes should hold a model; 0 = as the cluster's default says. */
  set_replicas: recordField({
    name: modelNameField,
    replicas: uintField(REPLICAS_MAX),
    expected: expectedField,
  }),
  /** Holds a model on a node whatever the placement would say. */
  pin_model: recordField({ name: modelNameField, nodeId: nodeIdField }),
  unpin_model: recordField({ name: modelNameField, nodeId: nodeIdField }),
  /** Lets a node in; `tokenId` is the join token that is used up by it, absent for the first node. */
  admit_member: recordField({
    nodeId: nodeIdField,
    publicKey: publicKeyField,
    label: labelField,
    tokenId: optionalField(accessIdField),
    atMs: timeField,
  }),
  /** Shuts a node out for good: every node drops its connections, and its id and key stay banned. */
  revoke_member: recordField({ nodeId: nodeIdField, atMs: timeField }),
  /** Takes a node that left out of the list; it may be admitted again. */
  remove_member: recordField({ nodeId: nodeIdField }),
  /** Who should vote in the log's group; the leader changes the group towards it. */
  set_voters: recordField({ voters: votersField, expected: expectedField }),
  create_token: recordField({
    tokenId: accessIdField,
    /** Hash of the public key that the token's secret makes: tells a proof, and makes none. */
    verifier: secretHashField,
    expiresAtMs: timeField,
    uses: uintField(1_000),
  }),
  delete_token: recordField({ tokenId: accessIdField }),
  create_api_key: recordField({
    keyId: accessIdField,
    secretHash: secretHashField,
    label: labelField,
    /** 0 = never. */
    expiresAtMs: timeField,
    atMs: timeField,
  }),
  delete_api_key: recordField({ keyId: accessIdField }),
  put_setting: recordField({
    key: settingKeyField,
    value: settingValueField,
    expected: expectedField,
  }),
  delete_setting: recordField({ key: settingKeyField, expected: expectedField }),
  /** Keeps the copy of a blob on one node from other nodes, until that node has looked at it. */
  quarantine_blob: recordField({
    digest: digestField,
    nodeId: nodeIdField,
    reason: labelField,
    atMs: timeField,
  }),
  release_blob: recordField({ digest: digestField }),
  /** Allows commands up to a schema; proposed once every member applies it. */
  raise_schema: recordField({ schema: uintField() }),
  /** A key with less than all rights. */
  create_scoped_key: recordField({
    keyId: accessIdField,
    secretHash: secretHashField,
    label: labelField,
    scopes: scopesField,
    /** 0 = never. */
    expiresAtMs: timeField,
    atMs: timeField,
    /** 1 = the one that a first start makes by itself: refused once there was any key, and closes nothing to others. */
    initial: uintField(1),
  }),
  /** A key was shown; rounded by the proposer, so that a busy one does not fill the log. */
  note_key_use: recordField({ keyId: accessIdField, atMs: timeField }),
} as const;

/** Numbers on the wire: only ever appended to, with the schema that brought the kind. */
const KINDS: readonly { readonly kind: keyof typeof FIELDS; readonly schema: number }[] = [
  { kind: "open_session", schema: 1 },
  { kind: "close_session", schema: 1 },
  { kind: "put_model", schema: 1 },
  { kind: "copy_model", schema: 1 },
  { kind: "delete_model", schema: 1 },
  { kind: "set_replicas", schema: 1 },
  { kind: "pin_model", schema: 1 },
  { kind: "unpin_model", schema: 1 },
  { kind: "admit_member", schema: 1 },
  { kind: "revoke_member", schema: 1 },
  { kind: "remove_member", schema: 1 },
  { kind: "set_voters", schema: 1 },
  { kind: "create_token", schema: 1 },
  { kind: "delete_token", schema: 1 },
  { kind: "create_api_key", schema: 1 },
  { kind: "delete_api_key", schema: 1 },
  { kind: "put_setting", schema: 1 },
  { kind: "delete_setting", schema: 1 },
  { kind: "quarantine_blob", schema: 1 },
  { kind: "release_blob", schema: 1 },
  { kind: "raise_schema", schema: 1 },
  { kind: "create_scoped_key", schema: 2 },
  { kind: "note_key_use", schema: 2 },
];

/** A change of the replicated catalogue, as proposed. */
export type CatalogueCommand = {
  readonly [Kind in keyof typeof FIELDS]:
    & { readonly kind: Kind }
    & Readonly<ValueOf<(typeof FIELDS)[Kind]>>;
}[keyof typeof FIELDS];

/** Which attempt of which client this is, so that a retried proposal applies once (Raft thesis, 6.3). */
export interface RequestStamp {
  /** Id of a session opened before: the index of its `open_session` entry. */
  readonly session: number;
  /** Unique within the session, rising from 1. */
  readonly sequence: number;
  /** The lowest sequence the client still waits for: outcomes below it are forgotten. */
  readonly firstUnanswered: number;
}

/** Who had a change made: kept with it, for `odist audit`. */
export interface ChangeOrigin {
  /** A key, a client on a member's own machine, or a member itself, in words. */
  readonly who: string;
  /** The address that it was asked from; "" for what a member does by itself. */
  readonly from: string;
  /** Milliseconds since 1970 by the proposer's clock. */
  readonly atMs: number;
}

/** A command as it is in the log. */
export interface StampedCommand {
  /** Absent for what nobody asked for, and in logs and clusters of schema 1. */
  readonly origin?: ChangeOrigin;
  /** Absent for `open_session` and for commands that are harmless to repeat. */
  readonly request: RequestStamp | undefined;
  readonly command: CatalogueCommand;
}

/** What a node finds in an entry. `unsupported` is newer than this program: applying anything after it would diverge. */
export type DecodedCommand = Decoded<StampedCommand> | {
  readonly kind: "unsupported";
  readonly schema: number;
};

const REQUEST = optionalField(
  recordField<RequestStamp>({
    session: uintField(),
    sequence: uintField(),
    firstUnanswered: uintField(),
  }),
);

/** Bytes of {@link ChangeOrigin.who} and {@link ChangeOrigin.from}; whoever proposes cuts them. */
export const ORIGIN_BYTES_MAX = { who: 384, from: 128 } as const;
export const originFields = {
  who: textField(ORIGIN_BYTES_MAX.who),
  from: textField(ORIGIN_BYTES_MAX.from),
  atMs: timeField,
} as const;
const ORIGIN = recordField<ChangeOrigin>(originFields);
const OPTIONAL_ORIGIN = optionalField(ORIGIN);

/** Commands are written one at a time, and most are small: one piece of memory serves all. */
const SCRATCH = new ByteWriter(4096);

/** One byte string per command and stamp. */
export function encodeCommand(stamped: StampedCommand): Uint8Array<ArrayBuffer> {
  const { command, request, origin } = stamped;
  const number = KINDS.findIndex(({ kind }) => kind === command.kind);
  const writer = SCRATCH.reset();
  writer.varint(schemaOf(stamped)).varint(number);
  REQUEST.write(writer, request);
  if (schemaOf({ command }) >= ORIGIN_SCHEMA) OPTIONAL_ORIGIN.write(writer, origin);
  else if (origin !== undefined) ORIGIN.write(writer, origin);
  writeFields(writer, command);
  return writer.finish();
}

/** Never throws, on any bytes. */
export function decodeCommand(bytes: Uint8Array): DecodedCommand {
  const reader = new ByteReader(bytes);
  if (bytes.length > CATALOGUE_COMMAND_BYTES_MAX) reader.fail("command too long");
  const schema = reader.varint();
  const number = reader.varint();
  if (reader.fault !== undefined) return { kind: "malformed", reason: reader.fault };
  const known = KINDS[number];
  // A kind without a row is from the future even if its schema claims otherwise.
  if (schema > CATALOGUE_SCHEMA || known === undefined) return { kind: "unsupported", schema };
  const isOlderKind = known.schema < ORIGIN_SCHEMA;
  // An older kind has the schema of origins exactly when it has one, so that there is one way to write it.
  if (schema !== known.schema && !(isOlderKind && schema === ORIGIN_SCHEMA)) {
    reader.fail("schema does not match the command");
  }
  const request = REQUEST.read(reader);
  const origin = schema < ORIGIN_SCHEMA
    ? undefined
    : (isOlderKind ? ORIGIN : OPTIONAL_ORIGIN).read(reader);
  const fields = FIELDS[known.kind].read(reader);
  // Decoding: the fields of this kind were read by its own codec.
  const command = { kind: known.kind, ...fields } as CatalogueCommand;
  return reader.finish(origin === undefined ? { request, command } : { request, command, origin });
}

/**
 * Under which session a command is asked for, or with which nonce it opens one, without reading the rest; undefined for what
 * has neither or can't be read. Never throws, on any bytes.
 */
export function decodeAsk(
  bytes: Uint8Array,
): { readonly session: number | undefined; readonly nonce: Uint8Array | undefined } | undefined {
  const reader = new ByteReader(bytes);
  reader.varint();
  const kind = KINDS[reader.varint()]?.kind;
  const session = REQUEST.read(reader)?.session;
  if (reader.fault !== undefined) return undefined;
  if (kind !== "open_session") return { session, nonce: undefined };
  const decoded = decodeCommand(bytes);
  const opens = decoded.kind === "decoded" && decoded.value.command.kind === "open_session"
    ? decoded.value.command
    : undefined;
  return { session, nonce: opens?.nonce };
}

/** What a command asks for, without reading the rest; undefined for a kind that is unknown. Never throws, on any bytes. */
export function kindOf(bytes: Uint8Array): CatalogueCommand["kind"] | undefined {
  const reader = new ByteReader(bytes);
  reader.varint();
  const number = reader.varint();
  return reader.fault === undefined ? KINDS[number]?.kind : undefined;
}

/** The schema in which a command is understood. */
export function schemaOf(
  { command, origin }: Pick<StampedCommand, "command" | "origin">,
): number {
  const known = KINDS.find(({ kind }) => kind === command.kind)?.schema ?? CATALOGUE_SCHEMA;
  return origin === undefined ? known : Math.max(known, ORIGIN_SCHEMA);
}

function writeFields(writer: ByteWriter, command: CatalogueCommand): void {
  const codec: FieldCodec<unknown> = FIELDS[command.kind];
  codec.write(writer, command);
}
