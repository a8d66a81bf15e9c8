import { PeerError, UnavailableError } from "../../base/mod.ts";
import type { Clock } from "../../ports/mod.ts";
import {
  type AnswerHead,
  answerHeadShape,
  type ApiKey,
  clientVerdictShape,
  clusterIdOf,
} from "../../protocol/mod.ts";
import {
  closeConn,
  dialByAnchor,
  type DialEndpoint,
  openDialEndpoint,
  withDeadline,
} from "../connecting/mod.ts";
import { formatAddress } from "../resolve_address.ts";
import { takeStream } from "../framing/mod.ts";
import { anchorFromKey, anchorFromMemberKey, CLUSTER_SERVER_NAME } from "../identity/mod.ts";
import { TRANSPORT_LIMITS } from "../limits.ts";
import { CLIENT_PROTOCOL } from "../quic_settings.ts";
import { ClientStream } from "./client_stream.ts";

/** A node's port for other nodes, and what opens it to a client. */
export interface RemoteNode {
  readonly hostname: string;
  readonly port: number;
  readonly key: ApiKey;
  /** {@link key} as its user has it. */
  readonly keyText: string;
  readonly clock: Clock;
  /** Absent: any node of the key's authority will do. */
  readonly known?: KnownMembers;
}

/** Where a client keeps which members a cluster has. */
export interface KnownMembers {
  /** Named in errors. */
  readonly path: string;
  /** Keys (SPKI, base64) by id of the cluster; empty before the first contact. */
  find(clusterId: string): readonly string[];
  keep(clusterId: string, publicKeys: readonly string[]): void;
}

/** Answers without a body by their status (Fetch standard, "null body status"). */
const EMPTY_STATUSES = [204, 205, 304];

/**
 * One request of the HTTP API to a node that is reached over QUIC, on a connection of its own that ends with the answer.
 * The node is known by the authority in the key, so that nobody else is told the key.
 *
 * @throws UnavailableError `node_unreachable`; PeerError `key_refused` with the node's reason, or for what is wrong with it;
 *   the signal's reason.
 */
export async function askRemote(
  node: RemoteNode,
  path: string,
  init: RequestInit = {},
): Promise<Response> {
  const signal = init.signal ?? undefined;
  signal?.throwIfAborted();
  const { endpoint, family } = openDialEndpoint(node.hostname);
  // All that is made here hangs on the endpoint; so closing it is enough, and safe to repeat.
  const close = () => {
    signal?.removeEventListener("abort", close);
    endpoint.close({ closeCode: 0, reason: "done" });
  };
  signal?.addEventListener("abort", close);
  try {
    const conn = await connect(node, { endpoint, family });
    await greet(conn, node);
    return await exchange(conn, { node, path, init, close });
  } catch (error) {
    close();
    if (signal?.aborted) throw signal.reason;
    if (isStranger(node, error)) throw stranger(node, error);
    throw error instanceof UnavailableError ? unreachable(node, error) : error;
  }
}

async function connect(node: RemoteNode, from: DialEndpoint): Promise<Deno.QuicConn> {
  const { clock } = node;
  const anchorPem = await anchorOf(node);
  const by = { ...from, serverName: CLUSTER_SERVER_NAME, anchorPem, protocol: CLIENT_PROTOCOL };
  const conn = await withDeadline(dialByAnchor(formatAddress(node), by), {
    clock,
    limitMs: TRANSPORT_LIMITS.dialTimeoutMs,
    late: () => new UnavailableError("peer_lost", "nobody answered"),
    discard: (late) => closeConn(late, "done"),
  });
  conn.closed.catch(() => {});
  return conn;
}

/** After the first contact the members' own keys: the authority says who was once let in. */
async function anchorOf({ clock, key, known }: RemoteNode): Promise<string> {
  const nowMs = clock.nowMs();
  const members = known?.find(clusterIdOf(key.authorityKey)) ?? [];
  const anchors = members.length === 0 ? undefined : await anchorsOf(members, nowMs);
  return anchors ?? await anchorFromKey(key.authorityKey, nowMs);
}

/** Undefined where one is no key. */
async function anchorsOf(members: readonly string[], nowMs: number): Promise<string | undefined> {
  try {
    const anchors = members.map((text) => anchorFromMemberKey(Uint8Array.fromBase64(text), nowMs));
    return (await Promise.all(anchors)).join("");
  } catch {
    return undefined; // The parsers' only way to say so.
  }
}

async function greet(conn: Deno.QuicConn, node: RemoteNode): Promise<void> {
  const { keyText, clock, key, known } = node;
  const talk = async () => {
    const stream = await openStream(conn, clock);
    await stream.writeKind("hello");
    await stream.writeHead({ key: keyText });
    const verdict = await stream.readHead(clientVerdictShape);
    stream.release();
    if (verdict.kind === "refused") throw new PeerError("key_refused", verdict.reason);
    const { members } = verdict;
    if (members === undefined || members.length === 0 || known === undefined) return;
    if (await anchorsOf(members, clock.nowMs()) === undefined) {
      throw new PeerError("malformed_frame", "The node named members by what are no keys");
    }
    known.keep(clusterIdOf(key.authorityKey), members);
  };
  await withDeadline(talk(), {
    clock,
    limitMs: TRANSPORT_LIMITS.helloTimeoutMs,
    late: () => new UnavailableError("peer_lost", "it does not answer"),
  });
}

interface Asking {
  readonly node: RemoteNode;
  readonly path: string;
  readonly init: RequestInit;
  readonly close: () => void;
}

async function exchange(conn: Deno.QuicConn, asking: Asking): Promise<Response> {
  const { node, path, init, close } = asking;
  const stream = await openStream(conn, node.clock);
  // Fetch knows how to make bytes and their headers of whatever a body is.
  const request = new Request("http://node", { method: init.method ?? "GET", ...bodyOf(init) });
  const headers = [...request.headers].map(([name, value]) => ({ name, value }));
  await stream.writeKind("stream");
  await stream.writeHead({ method: request.method, path, headers });
  // A node may answer before it has read everything, for instance with a refusal.
  const sending = sendBody(stream, request.body);
  sending.catch(() => {});
  const answer = await stream.readHead(answerHeadShape);
  return responseOf(answer, stream, { signal: init.signal ?? undefined, close });
}

function bodyOf(init: RequestInit): RequestInit {
  const headers = init.headers === undefined ? {} : { headers: init.headers };
  return init.body == null ? headers : { ...headers, body: init.body };
}

async function sendBody(
  stream: ClientStream,
  body: ReadableStream<Uint8Array<ArrayBuffer>> | null,
): Promise<void> {
  try {
    if (body !== null) { for await (const bytes of body) await stream.writeBody(bytes); }
    await stream.writeEnd();
  } catch (error) {
    // Half an upload must not be taken for a whole one.
    await stream.writeBrokenOff();
    throw error;
  }
}

function responseOf(
  head: AnswerHead,
  stream: ClientStream,
  by: { readonly signal: AbortSignal | undefined; readonly close: () => void },
): Response {
  const headers = new Headers(head.headers.map(({ name, value }) => [name, value]));
  const { status } = head;
  if (EMPTY_STATUSES.includes(status)) {
    by.close();
    return new Response(null, { status, headers });
  }
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      try {
        const piece = await stream.readPiece();
        if (piece.kind === "bytes") return controller.enqueue(piece.bytes);
        by.close();
        if (piece.kind === "end") controller.close();
        else controller.error(cutShort());
      } catch (error) {
        by.close();
        controller.error(by.signal?.aborted ? by.signal.reason : error);
      }
    },
    cancel: () => by.close(),
  }, { highWaterMark: 0 });
  return new Response(body, { status, headers });
}

async function openStream(conn: Deno.QuicConn, clock: Clock): Promise<ClientStream> {
  try {
    const streams = takeStream(await conn.createBidirectionalStream());
    return new ClientStream(streams, { nowMs: () => clock.monotonicMs() });
  } catch (cause) {
    throw new UnavailableError("peer_lost", "the connection is gone", { cause });
  }
}

function isStranger({ key, known }: RemoteNode, error: unknown): error is PeerError {
  return error instanceof PeerError && error.code === "peer_refused" &&
    (known?.find(clusterIdOf(key.authorityKey)).length ?? 0) > 0;
}

function stranger(node: RemoteNode, cause: PeerError): PeerError {
  const text =
    `The node at odist://${formatAddress(node)} is none of the members that were told to this ` +
    `machine, so it was not shown the key. If it is a new one, ask another member first; if none is left, ` +
    `delete ${node.known?.path}`;
  return new PeerError("peer_refused", text, { cause });
}

function cutShort(): UnavailableError {
  return new UnavailableError("peer_lost", "The answer ended before it was whole");
}

function unreachable(node: RemoteNode, cause: UnavailableError): UnavailableError {
  const text = `Cannot reach a node at odist://${formatAddress(node)}: ${cause.message}`;
  return new UnavailableError("node_unreachable", text, { cause });
}
