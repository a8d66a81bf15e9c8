import assert from "node:assert/strict";
import { PeerError } from "../../src/base/mod.ts";
import {
  decodeJoin,
  decodeJoinToken,
  encodeJoin,
  type JoinAnswer,
  type JoinChallenge,
  type JoinFrame,
  type JoinOpening,
  joinTranscript,
} from "../../src/protocol/mod.ts";
import {
  type DialSeed,
  type FramePipe,
  generateSigningKey,
  issueCertificate,
  type JoinAttempt,
  type SigningKey,
} from "../../src/transport/mod.ts";
import { tokenKey } from "../../src/transport/joining/proof.ts";
import { MemoryPipe } from "../harness/frame_pipes.ts";
import { join, JoinDesk } from "../harness/join_desk.ts";

async function hmac(
  verifier: Uint8Array,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const raw = Uint8Array.from(verifier);
  const key = await crypto.subtle.importKey("raw", raw, algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes));
}

/** As long as a signature. */
async function hmacTwice(
  verifier: Uint8Array,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const once = await hmac(verifier, bytes);
  return Uint8Array.from([...once, ...once]);
}

async function hear<Kind extends JoinFrame["kind"]>(
  pipe: FramePipe,
  kind: Kind,
): Promise<Extract<JoinFrame, { readonly kind: Kind }>> {
  const decoded = decodeJoin(await pipe.read() ?? new Uint8Array(0));
  assert.ok(decoded.kind === "decoded", "a frame was expected");
  const frame = decoded.value;
  const isKind = (found: JoinFrame): found is Extract<JoinFrame, { readonly kind: Kind }> =>
    found.kind === kind;
  assert.ok(isKind(frame), JSON.stringify(frame));
  return frame;
}

/** A joiner that claims `claimed` and signs with `signer`, with a proof under `secret`; returns how it was refused. */
async function lieToDesk(
  desk: JoinDesk,
  lie: {
    readonly token: string;
    readonly claimed: Uint8Array<ArrayBuffer>;
    readonly signer: SigningKey;
    readonly secret?: Uint8Array;
    /** Instead of what the secret makes. */
    readonly proofKey?: SigningKey;
    readonly shownKey?: Uint8Array<ArrayBuffer>;
  },
): Promise<string> {
  const decoded = decodeJoinToken(lie.token);
  assert.ok(decoded.kind === "decoded");
  const { tokenId, secret } = decoded.value;
  const { left, right } = MemoryPipe.pair();
  void desk.answer(right);
  const opening: JoinOpening = {
    versionMin: 1,
    versionMax: 1,
    tokenId,
    nonce: new Uint8Array(32),
    publicKey: lie.claimed,
    name: "liar",
  };
  await left.write(encodeJoin({ kind: "opening", opening }));
  const { challenge } = await hear(left, "challenge");
  const bytes = joinTranscript("proof", { opening, challenge });
  const made = lie.proofKey ?? await tokenKey(lie.secret ?? secret);
  await left.write(encodeJoin({
    kind: "proof",
    signature: await lie.signer.sign(bytes),
    tokenKey: lie.shownKey ?? made.publicKey,
    proof: await made.sign(bytes),
  }));
  const { reason } = await hear(left, "refusal");
  await desk.idle();
  assert.ok(desk.outcomes.at(-1) instanceof PeerError);
  return reason;
}

Deno.test("A joiner that knows a token's id but not its secret is not let in", async () => {
  const desk = await JoinDesk.open();
  const signer = await generateSigningKey();
  const token = await desk.createToken();
  const lie = { token, claimed: signer.publicKey, signer, secret: new Uint8Array(16) };
  assert.equal(await lieToDesk(desk, lie), "wrong_secret");
  assert.equal(desk.admitted.length, 0);
});

Deno.test("A joiner that knows all that the cluster keeps of a token is not let in", async () => {
  const desk = await JoinDesk.open();
  const token = await desk.createToken();
  const [row] = desk.tokens.values();
  const { verifier } = row ?? assert.fail();
  const decoded = decodeJoinToken(token);
  assert.ok(decoded.kind === "decoded");
  // The public half is shown in each join; a snapshot holds the hash of it.
  const shownKey = (await tokenKey(decoded.value.secret)).publicKey;
  const signer = await generateSigningKey();
  const by = { token, claimed: signer.publicKey, signer };
  for (
    const lie of [
      { ...by, proofKey: await generateSigningKey() },
      { ...by, proofKey: await generateSigningKey(), shownKey },
      { ...by, proofKey: await generateSigningKey(), shownKey: Uint8Array.from(verifier) },
      { ...by, secret: verifier },
      {
        ...by,
        proofKey: { ...signer, sign: async (bytes) => await hmacTwice(verifier, bytes) },
        shownKey,
      },
    ] satisfies Parameters<typeof lieToDesk>[1][]
  ) {
    assert.equal(await lieToDesk(desk, lie), "wrong_secret");
  }
  assert.equal(desk.admitted.length, 0);
});

Deno.test("A joiner that claims a key it does not have is not let in", async () => {
  const desk = await JoinDesk.open();
  const [signer, other] = [await generateSigningKey(), await generateSigningKey()];
  const lie = { token: await desk.createToken(), claimed: other.publicKey, signer };
  assert.equal(await lieToDesk(desk, lie), "bad_signature");
  assert.equal(desk.admitted.length, 0);
});

Deno.test("A stranger that claims a member's key, with a token that is used up, gets nothing", async () => {
  const desk = await JoinDesk.open();
  const token = await desk.createToken({ uses: 1 });
  const member = await generateSigningKey();
  await join(token, { dial: desk.dial, key: member });
  const signer = await generateSigningKey();
  assert.equal(
    await lieToDesk(desk, { token, claimed: member.publicKey, signer }),
    "bad_signature",
  );
});

/** What a member that lies does otherwise than an honest one. */
interface Lie {
  readonly signer?: SigningKey;
  readonly answer?: (honest: JoinAnswer, opening: JoinOpening) => Promise<JoinAnswer>;
  /** Leaves the proof out of the answer. */
  readonly unproved?: true;
}

/** Dials a member of the desk's cluster that lies. */
function lyingDial(desk: JoinDesk, lie: Lie): DialSeed {
  return async () => {
    const { left, right } = MemoryPipe.pair();
    void tellLies(right, desk, lie).catch(() => {}).finally(() => right.end());
    return { pipe: left, close: () => left.end() };
  };
}

async function tellLies(pipe: FramePipe, desk: JoinDesk, lie: Lie): Promise<void> {
  const { identity } = desk;
  const { authority } = desk.cluster;
  const sign = (bytes: Uint8Array<ArrayBuffer>) => (lie.signer ?? identity).sign(bytes);
  const { opening } = await hear(pipe, "opening");
  const verifier = desk.tokens.get(opening.tokenId)?.verifier ?? assert.fail();
  const challenge: JoinChallenge = {
    version: 1,
    clusterId: identity.clusterId,
    nonce: new Uint8Array(32),
    certificate: identity.certificate,
  };
  const own = joinTranscript("challenge", { opening, challenge });
  const proof = await hmac(verifier, own);
  const signature = await sign(own);
  await pipe.write(encodeJoin({ kind: "challenge", challenge, signature, proof }));
  await hear(pipe, "proof");
  const honest: JoinAnswer = {
    clusterId: authority.clusterId,
    certificate: await issueCertificate(authority, {
      publicKey: opening.publicKey,
      nowMs: Date.now(),
    }),
    authorityChainPem: authority.chainPem,
    members: [],
    revoked: [],
  };
  const answer = await lie.answer?.(honest, opening) ?? honest;
  const last = joinTranscript("answer", { opening, challenge, answer });
  await pipe.write(encodeJoin({
    kind: "answer",
    answer,
    signature: await sign(last),
    proof: lie.unproved ? undefined : await hmac(verifier, last),
  }));
}

async function assertDisbelieved(desk: JoinDesk, lie: Lie, text: RegExp): Promise<void> {
  const attempts: JoinAttempt[] = [];
  const joining = join(await desk.createToken(), {
    dial: lyingDial(desk, lie),
    onAttemptFailed: (attempt) => attempts.push(attempt),
  });
  await assert.rejects(joining);
  assert.match(attempts[0]?.text ?? "", text);
}

Deno.test("An honest member is believed, so that the lies below are what is refused", async () => {
  const desk = await JoinDesk.open();
  await join(await desk.createToken(), { dial: lyingDial(desk, {}) });
});

Deno.test("A member that shows another's certificate is not believed", async () => {
  const desk = await JoinDesk.open();
  const signer = await generateSigningKey();
  await assertDisbelieved(desk, { signer }, /signature is not the member's/);
});

Deno.test("A member that sends the authority of another cluster is not believed", async () => {
  const desk = await JoinDesk.open();
  const { authority } = (await JoinDesk.open()).cluster;
  const answer = async (honest: JoinAnswer) => ({
    ...honest,
    authorityChainPem: authority.chainPem,
  });
  await assertDisbelieved(desk, { answer }, /another authority than the token's/);
});

Deno.test("A member that sends somebody else's certificate is not believed", async () => {
  const desk = await JoinDesk.open();
  const { certificate, nodeId } = await desk.cluster.make();
  const answer = async (honest: JoinAnswer) => ({ ...honest, certificate });
  await assertDisbelieved(desk, { answer }, new RegExp(`the certificate of node ${nodeId}`));
});

Deno.test("A member that has the cluster's authority but not the token is not believed", async () => {
  const desk = await JoinDesk.open();
  await assertDisbelieved(desk, { unproved: true }, /only one of its two frames was proved/);
});
