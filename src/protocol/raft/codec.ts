import type { NodeId } from "../../base/mod.ts";
import { nodeIdField } from "../catalogue.ts";
import { ByteReader, ByteWriter, type Decoded } from "../bytes.ts";
import { CHANNEL_FRAME_BYTES_MAX } from "../channels.ts";
import type { Entry, Proposal, RaftMessage, SnapshotChunk, SnapshotChunkAck } from "./messages.ts";
import {
  type FieldCodec,
  listField,
  optionalField,
  recordField,
  textField,
  uintField,
} from "../field_codec.ts";
import {
  entryIdField,
  groupChangeField,
  groupConfigurationField,
  snapshotField,
} from "./fields.ts";

// A fixed layout instead of CBOR: this is the path of every commit, and an append is mostly payload.

/** Version of the frames on channel "raft"; a node refuses frames of any other. */
export const RAFT_PROTOCOL_VERSION = 1;
/** Bytes after which the next message begins a frame of its own. */
const FRAME_BYTES_AIM = 1024 * 1024;
/** Messages in one frame; a peer that sends more is malformed. */
const FRAME_MESSAGES_MAX = 4_096;
/** Entries in one append or forward: as many as the smallest ones make up the largest append (1 MiB of 6 bytes each). */
const ENTRIES_MAX = 200_000;
/** Bytes of a read's context, chosen by the asking node. */
const READ_CONTEXT_BYTES_MAX = 64;

/** All that travels on channel "raft". */
export type RaftWireMessage = RaftMessage | SnapshotChunk | SnapshotChunkAck;

/** Who sent a frame and who got it, as the transport authenticated them: a message can't claim anything else. */
export interface FrameEnds {
  readonly from: NodeId;
  readonly to: NodeId;
}

/** Wire numbers: only ever appended to. */
const KINDS = [
  "append_request",
  "append_response",
  "heartbeat_request",
  "heartbeat_response",
  "snapshot_request",
  "vote_request",
  "vote_response",
  "timeout_now",
  "transfer_request",
  "proposal_forward",
  "read_index_request",
  "read_index_response",
  "snapshot_chunk",
  "snapshot_chunk_ack",
  "voters_request",
  "voters_response",
] as const satisfies readonly RaftWireMessage["kind"][];

const KIND_NUMBERS = Object.fromEntries(
  KINDS.map((kind, number) => [kind, number]),
) as Readonly<Record<RaftWireMessage["kind"], number>>;

/** What a message says besides its kind and its ends. */
type Said<Kind extends RaftWireMessage["kind"]> = Omit<
  Extract<RaftWireMessage, { kind: Kind }>,
  "kind" | keyof FrameEnds
>;
type SaidFields = { readonly [Kind in RaftWireMessage["kind"]]: FieldCodec<Said<Kind>> };

const COMMAND = 0;
const GROUP_CHANGE = 1;
const PRE_VOTE = 1;
const TRANSFER = 2;
const GRANTED = 2;

const uint = uintField();
const contextField = textField(READ_CONTEXT_BYTES_MAX);
const proposalField: FieldCodec<Proposal> = { write: writeProposal, read: readProposal };

/** Bytes that share the frame's memory. */
const viewField: FieldCodec<Uint8Array> = {
  write: (writer, bytes) => void writer.bytes(bytes),
  read: (reader) => reader.view(CHANNEL_FRAME_BYTES_MAX),
};
const chunkField: FieldCodec<Said<"snapshot_chunk">> = recordField({
  term: uint,
  id: entryIdField,
  configuration: groupConfigurationField,
  dataBytes: uint,
  offset: uint,
  bytes: viewField,
});

const SAID: SaidFields = {
  append_request: { write: writeAppend, read: readAppend },
  append_response: recordField({
    term: uint,
    index: uint,
    rejection: optionalField(recordField({ hintIndex: uint, hintTerm: uint })),
  }),
  heartbeat_request: recordField({ term: uint, commit: uint, round: uint }),
  heartbeat_response: recordField({ term: uint, round: uint }),
  snapshot_request: recordField({ term: uint, snapshot: snapshotField }),
  vote_request: {
    write(writer, message) {
      writer.varint(message.term);
      writer.uint8((message.preVote ? PRE_VOTE : 0) | (message.transfer ? TRANSFER : 0));
      entryIdField.write(writer, message.last);
      entryIdField.write(writer, message.committed);
    },
    read(reader) {
      const term = reader.varint();
      const flags = readFlags(reader, PRE_VOTE | TRANSFER);
      const [preVote, transfer] = [(flags & PRE_VOTE) !== 0, (flags & TRANSFER) !== 0];
      const last = entryIdField.read(reader);
      return { term, preVote, transfer, last, committed: entryIdField.read(reader) };
    },
  },
  vote_response: {
    write(writer, message) {
      writer.varint(message.term);
      writer.uint8((message.preVote ? PRE_VOTE : 0) | (message.granted ? GRANTED : 0));
      entryIdField.write(writer, message.committed);
    },
    read(reader) {
      const term = reader.varint();
      const flags = readFlags(reader, PRE_VOTE | GRANTED);
      const [preVote, granted] = [(flags & PRE_VOTE) !== 0, (flags & GRANTED) !== 0];
      return { term, preVote, granted, committed: entryIdField.read(reader) };
    },
  },
  timeout_now: recordField({ term: uint }),
  transfer_request: recordField({ term: uint, target: nodeIdField }),
  proposal_forward: recordField({ proposals: listField(proposalField, ENTRIES_MAX) }),
  read_index_request: recordField({ context: contextField }),
  read_index_response: recordField({ term: uint, index: uint, context: contextField }),
  snapshot_chunk: { write: chunkField.write, read: readChunk },
  snapshot_chunk_ack: recordField({ term: uint, id: entryIdField, offset: uint }),
  voters_request: recordField({}),
  voters_response: recordField({ voters: listField(nodeIdField, ENTRIES_MAX) }),
};

/**
 * Messages to one peer, in order, in as few frames as their size allows. `from` and `to` are not written. Each frame
 * stays within {@link CHANNEL_FRAME_BYTES_MAX} as long as each message does.
 */
export function encodeRaftFrames(
  messages: readonly RaftWireMessage[],
): readonly Uint8Array<ArrayBuffer>[] {
  const frames: Uint8Array<ArrayBuffer>[] = [];
  let writer: ByteWriter | undefined;
  let count = 0;
  for (const message of messages) {
    writer ??= new ByteWriter(512).uint8(RAFT_PROTOCOL_VERSION);
    writeMessage(writer, message);
    if (writer.length < FRAME_BYTES_AIM && ++count < FRAME_MESSAGES_MAX) continue;
    frames.push(writer.finish());
    writer = undefined;
    count = 0;
  }
  if (writer !== undefined) frames.push(writer.finish());
  return frames;
}

/**
 * Never throws, on any bytes; all of a frame or nothing. Entries share one copy of the frame, so that the caller may
 * reuse `bytes`.
 */
export function decodeRaftFrame(
  bytes: Uint8Array,
  ends: FrameEnds,
): Decoded<readonly RaftWireMessage[]> {
  if (bytes.length > CHANNEL_FRAME_BYTES_MAX) {
    return { kind: "malformed", reason: "frame too long" };
  }
  const reader = new ByteReader(bytes.slice());
  if (reader.uint8() !== RAFT_PROTOCOL_VERSION) reader.fail("unknown version");
  const messages: RaftWireMessage[] = [];
  while (reader.remaining > 0) {
    if (messages.length === FRAME_MESSAGES_MAX) reader.fail("too many messages");
    messages.push(readMessage(reader, ends));
  }
  if (messages.length === 0) reader.fail("no message");
  return reader.finish(messages);
}

function writeMessage(writer: ByteWriter, message: RaftWireMessage): void {
  writer.uint8(KIND_NUMBERS[message.kind]);
  const said = SAID[message.kind] as FieldCodec<object>; // The table has each kind's own.
  said.write(writer, message);
}

function readMessage(reader: ByteReader, { from, to }: FrameEnds): RaftWireMessage {
  const kind = KINDS[reader.uint8()];
  if (kind === undefined) {
    // The value does not matter any more: the fault makes the whole frame malformed.
    reader.fail("unknown message kind");
    return { kind: "timeout_now", from, to, term: 0 };
  }
  return { kind, from, to, ...SAID[kind].read(reader) } as RaftWireMessage;
}

/** Entries follow `previous` without a gap, so their indexes need no bytes. */
function writeAppend(writer: ByteWriter, message: Said<"append_request">): void {
  const { term, previous, commit, entries } = message;
  writer.varint(term);
  entryIdField.write(writer, previous);
  writer.varint(commit).varint(entries.length);
  for (const entry of entries) {
    writer.varint(entry.term);
    writeProposal(writer, entry);
  }
}

function readAppend(reader: ByteReader): Said<"append_request"> {
  const term = reader.varint();
  const previous = { term: reader.varint(), index: reader.varint() };
  const commit = reader.varint();
  const count = reader.varint(ENTRIES_MAX);
  const entries: Entry[] = [];
  // A count that lies ends with the input: each entry takes bytes of its own.
  for (let position = 1; position <= count && reader.fault === undefined; position++) {
    entries.push(readEntry(reader, previous.index + position));
  }
  return { term, previous, entries, commit };
}

function readEntry(reader: ByteReader, index: number): Entry {
  const term = reader.varint();
  const proposal = readProposal(reader);
  // Spelled out, because all entries must have one shape for the engine's caches; a spread costs three times as much.
  return proposal.kind === "command"
    ? { term, index, kind: "command", data: proposal.data }
    : { term, index, kind: "group_change", change: proposal.change };
}

function writeProposal(writer: ByteWriter, proposal: Proposal): void {
  if (proposal.kind === "command") {
    writer.uint8(COMMAND).bytes(proposal.data);
  } else {
    writer.uint8(GROUP_CHANGE);
    groupChangeField.write(writer, proposal.change);
  }
}

function readProposal(reader: ByteReader): Proposal {
  const kind = reader.uint8();
  if (kind === COMMAND) return { kind: "command", data: reader.view(CHANNEL_FRAME_BYTES_MAX) };
  if (kind !== GROUP_CHANGE) reader.fail("unknown proposal kind");
  return { kind: "group_change", change: groupChangeField.read(reader) };
}

function readChunk(reader: ByteReader): Said<"snapshot_chunk"> {
  const chunk = chunkField.read(reader);
  const { offset, bytes, dataBytes } = chunk;
  if (offset + bytes.length > dataBytes) reader.fail("chunk beyond its snapshot");
  return chunk;
}

function readFlags(reader: ByteReader, known: number): number {
  const flags = reader.uint8();
  if ((flags & ~known) !== 0) reader.fail("unknown flag");
  return flags;
}
