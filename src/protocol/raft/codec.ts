import type { NodeId } from "../../base/mod.ts";
import { ByteReader, ByteWriter, type Decoded } from "../bytes.ts";
import { CHANNEL_FRAME_BYTES_MAX } from "../channels.ts";
import type {
  AppendRejection,
  AppendRequest,
  Entry,
  EntryId,
  Proposal,
  RaftMessage,
  SnapshotChunk,
  SnapshotChunkAck,
} from "./messages.ts";
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

const COMMAND = 0;
const GROUP_CHANGE = 1;
const PRE_VOTE = 1;
const TRANSFER = 2;
const GRANTED = 2;

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
  switch (message.kind) {
    case "append_request":
      return writeAppend(writer, message);
    case "append_response":
      writer.varint(message.term).varint(message.index);
      return writeRejection(writer, message.rejection);
    case "heartbeat_request":
      writer.varint(message.term).varint(message.commit).varint(message.round);
      return;
    case "heartbeat_response":
      writer.varint(message.term).varint(message.round);
      return;
    case "snapshot_request":
      writer.varint(message.term);
      return snapshotField.write(writer, message.snapshot);
    case "vote_request":
      writer.varint(message.term);
      writer.uint8((message.preVote ? PRE_VOTE : 0) | (message.transfer ? TRANSFER : 0));
      writeId(writer, message.last);
      return writeId(writer, message.committed);
    case "vote_response":
      writer.varint(message.term);
      writer.uint8((message.preVote ? PRE_VOTE : 0) | (message.granted ? GRANTED : 0));
      return writeId(writer, message.committed);
    case "timeout_now":
      writer.varint(message.term);
      return;
    case "transfer_request":
      writer.varint(message.term).hex64(message.target);
      return;
    default:
      return writeRareMessage(writer, message);
  }
}

function writeRareMessage(
  writer: ByteWriter,
  message: Extract<
    RaftWireMessage,
    {
      kind:
        | "proposal_forward"
        | "read_index_request"
        | "read_index_response"
        | "snapshot_chunk"
        | "snapshot_chunk_ack"
        | "voters_request"
        | "voters_response";
    }
  >,
): void {
  switch (message.kind) {
    case "proposal_forward":
      writer.varint(message.proposals.length);
      for (const proposal of message.proposals) writeProposal(writer, proposal);
      return;
    case "read_index_request":
      writer.text(message.context);
      return;
    case "read_index_response":
      writer.varint(message.term).varint(message.index).text(message.context);
      return;
    case "snapshot_chunk":
      writer.varint(message.term);
      writeId(writer, message.id);
      groupConfigurationField.write(writer, message.configuration);
      writer.varint(message.dataBytes).varint(message.offset).bytes(message.bytes);
      return;
    case "snapshot_chunk_ack":
      writer.varint(message.term);
      writeId(writer, message.id);
      writer.varint(message.offset);
      return;
    case "voters_request":
      return;
    case "voters_response":
      writer.varint(message.voters.length);
      for (const voter of message.voters) writer.hex64(voter);
      return;
  }
}

function readMessage(reader: ByteReader, ends: FrameEnds): RaftWireMessage {
  const { from, to } = ends;
  const kind = KINDS[reader.uint8()];
  switch (kind) {
    case "append_request":
      return readAppend(reader, ends);
    case "append_response": {
      const term = reader.varint();
      const index = reader.varint();
      return { kind, from, to, term, index, rejection: readRejection(reader) };
    }
    case "heartbeat_request": {
      const term = reader.varint();
      const commit = reader.varint();
      return { kind, from, to, term, commit, round: reader.varint() };
    }
    case "heartbeat_response": {
      const term = reader.varint();
      return { kind, from, to, term, round: reader.varint() };
    }
    case "vote_request": {
      const term = reader.varint();
      const flags = readFlags(reader, PRE_VOTE | TRANSFER);
      const [preVote, transfer] = [(flags & PRE_VOTE) !== 0, (flags & TRANSFER) !== 0];
      const last = entryIdField.read(reader);
      const committed = entryIdField.read(reader);
      return { kind, from, to, term, preVote, transfer, last, committed };
    }
    case "vote_response": {
      const term = reader.varint();
      const flags = readFlags(reader, PRE_VOTE | GRANTED);
      const [preVote, granted] = [(flags & PRE_VOTE) !== 0, (flags & GRANTED) !== 0];
      return { kind, from, to, term, preVote, granted, committed: entryIdField.read(reader) };
    }
    case "proposal_forward":
      return { kind, from, to, proposals: readList(reader, readProposal) };
    default:
      return readRareMessage(reader, ends, kind);
  }
}

function readRareMessage(
  reader: ByteReader,
  { from, to }: FrameEnds,
  kind: (typeof KINDS)[number] | undefined,
): RaftWireMessage {
  switch (kind) {
    case "snapshot_request": {
      const term = reader.varint();
      return { kind, from, to, term, snapshot: snapshotField.read(reader) };
    }
    case "transfer_request": {
      const term = reader.varint();
      return { kind, from, to, term, target: reader.hex64() as NodeId };
    }
    case "read_index_request":
      return { kind, from, to, context: reader.text(READ_CONTEXT_BYTES_MAX) };
    case "read_index_response": {
      const term = reader.varint();
      const index = reader.varint();
      return { kind, from, to, term, index, context: reader.text(READ_CONTEXT_BYTES_MAX) };
    }
    case "snapshot_chunk":
      return readChunk(reader, { from, to });
    case "snapshot_chunk_ack": {
      const term = reader.varint();
      const id = entryIdField.read(reader);
      return { kind, from, to, term, id, offset: reader.varint() };
    }
    case "timeout_now":
      return { kind, from, to, term: reader.varint() };
    case "voters_request":
      return { kind, from, to };
    case "voters_response":
      return { kind, from, to, voters: readList(reader, (ids) => ids.hex64() as NodeId) };
    default:
      // The value does not matter any more: the fault makes the whole frame malformed.
      reader.fail("unknown message kind");
      return { kind: "timeout_now", from, to, term: 0 };
  }
}

/** Entries follow `previous` without a gap, so their indexes need no bytes. */
function writeAppend(writer: ByteWriter, message: AppendRequest): void {
  const { term, previous, commit, entries } = message;
  writer.varint(term);
  writeId(writer, previous);
  writer.varint(commit).varint(entries.length);
  for (const entry of entries) {
    writer.varint(entry.term);
    writeProposal(writer, entry);
  }
}

function readAppend(reader: ByteReader, { from, to }: FrameEnds): AppendRequest {
  const term = reader.varint();
  const previous = { term: reader.varint(), index: reader.varint() };
  const commit = reader.varint();
  const count = reader.varint(ENTRIES_MAX);
  const entries: Entry[] = [];
  // A count that lies ends with the input: each entry takes bytes of its own.
  for (let position = 1; position <= count && reader.fault === undefined; position++) {
    entries.push(readEntry(reader, previous.index + position));
  }
  return { kind: "append_request", from, to, term, previous, entries, commit };
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

function readChunk(reader: ByteReader, { from, to }: FrameEnds): SnapshotChunk {
  const term = reader.varint();
  const id = entryIdField.read(reader);
  const configuration = groupConfigurationField.read(reader);
  const dataBytes = reader.varint();
  const offset = reader.varint();
  const bytes = reader.view(CHANNEL_FRAME_BYTES_MAX);
  if (offset + bytes.length > dataBytes) reader.fail("chunk beyond its snapshot");
  return { kind: "snapshot_chunk", from, to, term, id, configuration, dataBytes, offset, bytes };
}

function writeRejection(writer: ByteWriter, rejection: AppendRejection | undefined): void {
  writer.uint8(rejection === undefined ? 0 : 1);
  if (rejection !== undefined) writer.varint(rejection.hintIndex).varint(rejection.hintTerm);
}

function readRejection(reader: ByteReader): AppendRejection | undefined {
  if (readFlags(reader, 1) === 0) return undefined;
  const hintIndex = reader.varint();
  return { hintIndex, hintTerm: reader.varint() };
}

function writeId(writer: ByteWriter, id: EntryId): void {
  writer.varint(id.term).varint(id.index);
}

function readFlags(reader: ByteReader, known: number): number {
  const flags = reader.uint8();
  if ((flags & ~known) !== 0) reader.fail("unknown flag");
  return flags;
}

function readList<T>(reader: ByteReader, readItem: (reader: ByteReader) => T): T[] {
  const count = reader.varint(ENTRIES_MAX);
  const items: T[] = [];
  for (let index = 0; index < count && reader.fault === undefined; index++) {
    items.push(readItem(reader));
  }
  return items;
}
