import { equalBytes, type NodeId, RequestError, UnavailableError } from "../base/mod.ts";
import {
  answering,
  askPeer,
  type QuestionParts,
  readAnswer,
  type StreamHandler,
} from "../calls/mod.ts";
import type { Catalogue } from "../core/catalogue/mod.ts";
import type { RaftView } from "../core/raft/mod.ts";
import type { PeerAddress } from "../ports/mod.ts";
import {
  booleanShape,
  byteStringShape,
  choiceShape,
  nodeIdOf,
  objectShape,
  textShape,
  unionShape,
  wireErrorShape,
} from "../protocol/mod.ts";

/** Streams that ask for a certificate, and those about the key that makes them. */
export const CERTIFY_PURPOSE = "certify";
export const AUTHORITY_KEY_PURPOSE = "authority_key";

const PUBLIC_KEY_BYTES_MAX = 1_024;
const CERTIFICATE_BYTES_MAX = 2_048;
const PEM_CHARACTERS_MAX = 4_096;

const certifyShape = objectShape({ publicKey: byteStringShape(PUBLIC_KEY_BYTES_MAX) });
const certifyAnswerShape = unionShape({
  certified: objectShape({ certificate: byteStringShape(CERTIFICATE_BYTES_MAX) }),
  refused: objectShape({ error: wireErrorShape }),
});
const keyShape = objectShape({
  authorityKey: byteStringShape(PUBLIC_KEY_BYTES_MAX),
  /** The private key itself, or only whether it is held. */
  want: choiceShape(["key", "word"]),
});
const keyAnswerShape = unionShape({
  key: objectShape({ privateKeyPem: textShape(PEM_CHARACTERS_MAX) }),
  word: objectShape({ held: booleanShape }),
  refused: objectShape({ error: wireErrorShape }),
});

/** Certifies whom the catalogue admits, for members that don't hold the authority's key. `issue` throws what the asker is told. */
export function certifyServer(
  issue: (publicKey: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>,
): StreamHandler {
  return answering(certifyShape, async ({ publicKey }) => ({
    kind: "certified",
    certificate: await issue(Uint8Array.from(publicKey)),
  }));
}

/** What tells who may have the authority's key. */
export interface KeyServerParts {
  /** The authority whose key is held here. */
  readonly signer: () =>
    | { readonly publicKey: Uint8Array; readonly privateKeyPem: string }
    | undefined;
  readonly catalogue: () => Pick<Catalogue, "findMember">;
  readonly view: () => Pick<RaftView, "configuration">;
}

/** Hands the authority's key to members that vote. */
export function authorityKeyServer({ signer, catalogue, view }: KeyServerParts): StreamHandler {
  const votes = (nodeId: NodeId) =>
    view().configuration.voters.includes(nodeId) &&
    catalogue().findMember(nodeId)?.standing === "admitted";
  return answering(keyShape, ({ authorityKey, want }, peer) => {
    const own = signer();
    const held = own !== undefined && equalBytes(own.publicKey, authorityKey);
    if (want === "word") return { kind: "word", held };
    if (!votes(peer)) {
      throw new RequestError("conflict", "the authority's key is for members that vote");
    }
    if (!held) throw new UnavailableError("peer_lost", "that authority's key is not held here");
    return { kind: "key", privateKeyPem: own.privateKeyPem };
  });
}

/** Whom the catalogue admits with this key. @throws RequestError for anybody else. */
export function checkAdmitted(
  catalogue: Pick<Catalogue, "findMember">,
  publicKey: Uint8Array,
): void {
  const nodeId = nodeIdOf(publicKey);
  const row = catalogue.findMember(nodeId);
  if (row?.standing === "admitted" && equalBytes(row.publicKey, publicKey)) return;
  throw new RequestError("member_not_found", `node ${nodeId} is no member with that key`);
}

/** @throws UnavailableError, RequestError or PeerError: the next one may do better. */
export async function askForCertificate(
  parts: QuestionParts,
  peer: PeerAddress,
  publicKey: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const opening = { purpose: CERTIFY_PURPOSE, publicKey };
  return await askPeer(
    parts,
    { peer, opening },
    (message) => Uint8Array.from(readAnswer(certifyAnswerShape, "certified", message).certificate),
  );
}

/** @throws as {@link askForCertificate}. */
export async function askForKey(
  parts: QuestionParts,
  peer: PeerAddress,
  authorityKey: Uint8Array,
): Promise<string> {
  const opening = { purpose: AUTHORITY_KEY_PURPOSE, authorityKey, want: "key" };
  return await askPeer(
    parts,
    { peer, opening },
    (message) => readAnswer(keyAnswerShape, "key", message).privateKeyPem,
  );
}

/** Whether a peer holds that authority's key. @throws as {@link askForCertificate}. */
export async function askWhetherHeld(
  parts: QuestionParts,
  peer: PeerAddress,
  authorityKey: Uint8Array,
): Promise<boolean> {
  const opening = { purpose: AUTHORITY_KEY_PURPOSE, authorityKey, want: "word" };
  return await askPeer(
    parts,
    { peer, opening },
    (message) => readAnswer(keyAnswerShape, "word", message).held,
  );
}
