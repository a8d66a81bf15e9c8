import { hexOf, type NodeId, PeerError } from "../../base/mod.ts";
import type { Clock, PeerDirectory } from "../../ports/mod.ts";
import {
  decodeVerdict,
  encodeStreamHeader,
  encodeVerdict,
  HELLO_FRAME_BYTES_MAX,
  LIFE_BYTES,
  type SpokenVersions,
  type Verdict,
} from "../../protocol/mod.ts";
import {
  FrameReader,
  isRuntimeLoss,
  lostConnection,
  StreamPipe,
  takeStream,
  withLength,
} from "../framing/mod.ts";
import { greet, type NodeIdentity } from "../identity/mod.ts";

/** What both sides of a greeting need. */
export interface GreetingParts {
  readonly identity: NodeIdentity;
  readonly directory: PeerDirectory;
  readonly clock: Clock;
  /** What this node speaks now. */
  readonly speaks: SpokenVersions;
  /** Drawn at start: LIFE_BYTES bytes. */
  readonly life: Uint8Array<ArrayBuffer>;
}

/** Streams a peer opens. */
export type IncomingStreams = ReadableStreamDefaultReader<Deno.QuicBidirectionalStream>;

/** What a dialer learns. */
export interface Greeted {
  readonly verdict: Verdict;
  /** The peer's, SPKI. */
  readonly publicKey: Uint8Array;
  /** The peer's, as hex. */
  readonly life: string;
  /** Of the versions of the wire the newest that both speak. */
  readonly wire: number;
}

/**
 * The dialer's part: who it is, that the other one is `expected`, and whether the connection is wanted. Nothing else is
 * read from the connection before.
 *
 * @throws PeerError for everything wrong with the peer; UnavailableError `peer_lost`.
 */
export async function greetAsDialer(
  conn: Deno.QuicConn,
  parts: GreetingParts,
  expected: NodeId,
): Promise<Greeted> {
  const streams = takeStream(await openFirstStream(conn));
  const pipe = pipeOf(streams, parts);
  await sendPreamble(streams.sink, parts.life);
  const { identity, directory, clock, speaks } = parts;
  const nowMs = () => clock.nowMs();
  const by = { identity, directory, nowMs, speaks };
  const { publicKey, wire } = await greet(pipe, { ...by, role: "dialer", expected });
  const answer = decodeVerdict(await pipe.read() ?? new Uint8Array(0));
  if (answer === undefined) throw malformed("The peer's verdict is malformed");
  pipe.release();
  return { verdict: answer.verdict, publicKey, life: hexOf(answer.life), wire };
}

/** A dialer that has proved itself, and the way to answer it. */
export interface GreetedDialer {
  readonly peer: NodeId;
  /** SPKI. */
  readonly publicKey: Uint8Array;
  readonly life: string;
  /** Of the versions of the wire the newest that both speak. */
  readonly wire: number;
  /** A read that was begun to notice streams that come too early; the first one behind the hello. */
  readonly pending: ReturnType<IncomingStreams["read"]>;
  /** Says whether the connection is wanted. */
  answer(verdict: Verdict): Promise<void>;
}

/**
 * The listener's part. A second stream before the hello is over ends it: a peer that is not known yet must not make this
 * node buffer anything.
 *
 * @throws as {@link greetAsDialer}.
 */
export async function greetAsListener(
  incoming: IncomingStreams,
  parts: GreetingParts,
): Promise<GreetedDialer> {
  const first = await nextStream(incoming);
  const pending = incoming.read();
  let greeted = false;
  const tooEarly = pending.then(({ done }) => {
    if (greeted) return;
    throw done ? lostConnection() : new PeerError(
      "early_frame",
      "The peer opened a second stream before its hello was over",
    );
  }, (cause) => {
    if (!greeted) throw lostConnection(cause);
  });
  // The race below may be over before; nobody may be left with an uncaught rejection.
  tooEarly.catch(() => {});
  const talk = talkToDialer(first, parts);
  talk.catch(() => {});
  const found = await Promise.race([talk, tooEarly.then(() => talk)]);
  greeted = true;
  return { ...found, pending };
}

async function talkToDialer(
  first: Deno.QuicBidirectionalStream,
  parts: GreetingParts,
): Promise<Omit<GreetedDialer, "pending">> {
  const streams = takeStream(first);
  const reader = readerOf(streams, parts.clock);
  const kind = await reader.header();
  if (kind !== "hello") throw new PeerError("early_frame", "The peer's first stream is no hello");
  const pipe = new StreamPipe(streams, reader);
  const life = await pipe.read();
  if (life?.length !== LIFE_BYTES) throw malformed("The peer's preamble is malformed");
  const { identity, directory, clock, speaks } = parts;
  const nowMs = () => clock.nowMs();
  const by = { identity, directory, nowMs, speaks };
  const { nodeId, publicKey, wire } = await greet(pipe, { ...by, role: "listener" });
  return {
    peer: nodeId,
    publicKey,
    life: hexOf(life),
    wire,
    answer: async (verdict) => {
      await pipe.write(encodeVerdict(verdict, parts.life));
      pipe.release();
    },
  };
}

/** Header and life go out as one: the hello itself follows as frames. */
async function sendPreamble(
  sink: WritableStreamDefaultWriter<Uint8Array>,
  life: Uint8Array<ArrayBuffer>,
): Promise<void> {
  const header = encodeStreamHeader("hello");
  const frame = withLength(life);
  const bytes = new Uint8Array(header.length + frame.length);
  bytes.set(header);
  bytes.set(frame, header.length);
  try {
    await sink.write(bytes);
  } catch (cause) {
    throw lostConnection(cause);
  }
}

async function openFirstStream(conn: Deno.QuicConn): Promise<Deno.QuicBidirectionalStream> {
  try {
    return await conn.createBidirectionalStream();
  } catch (cause) {
    throw lostConnection(cause);
  }
}

async function nextStream(incoming: IncomingStreams): Promise<Deno.QuicBidirectionalStream> {
  try {
    const { done, value } = await incoming.read();
    if (!done) return value;
  } catch (cause) {
    if (!isRuntimeLoss(cause)) throw cause;
    throw lostConnection(cause);
  }
  throw lostConnection();
}

function pipeOf(streams: ReturnType<typeof takeStream>, parts: GreetingParts): StreamPipe {
  return new StreamPipe(streams, readerOf(streams, parts.clock));
}

function readerOf(streams: ReturnType<typeof takeStream>, clock: Clock): FrameReader {
  return new FrameReader(streams.source, {
    frameBytesMax: HELLO_FRAME_BYTES_MAX,
    nowMs: () => clock.monotonicMs(),
  });
}

function malformed(text: string): PeerError {
  return new PeerError("malformed_frame", text);
}
