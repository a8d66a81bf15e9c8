/**
 * Clients with a key, over QUIC and over WebTransport, and a node that tells what they asked.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  answerHeadShape,
  CLIENT_PATH,
  clientVerdictShape,
  decodeApiKey,
  encodeApiKey,
} from "../../src/protocol/mod.ts";
import { takeStream } from "../../src/transport/framing/stream_pipe.ts";
import {
  askRemote,
  type ClientHandler,
  type NodeIdentity,
  type QuicTransport,
} from "../../src/transport/mod.ts";
import { ClientStream } from "../../src/transport/remote/client_stream.ts";
import { QuicWorld, testClock } from "./quic_world.ts";
import { RecordingTelemetry } from "./scripted_client.ts";
import { RecordingNode } from "./transport_contract.ts";

type Answer = ClientHandler["answer"];

/** A node that lets two keys in and answers as the test says. */
export class ClientScene {
  readonly identity: NodeIdentity;
  readonly keyText: string;
  /** Opens the node whatever becomes of the first. */
  readonly otherKeyText: string;
  readonly log = new RecordingTelemetry();
  readonly metrics = new RecordingTelemetry();
  /** Why the key opens nothing any more. */
  refusal: string | undefined;
  answer: Answer = () => Promise.resolve(new Response("fine"));
  transport!: QuicTransport;

  private constructor(identity: NodeIdentity) {
    this.identity = identity;
    const secret = new Uint8Array(16).fill(5);
    const { authorityKey } = identity;
    this.keyText = encodeApiKey({ keyId: "k1", secret, authorityKey });
    this.otherKeyText = encodeApiKey({ keyId: "k2", secret, authorityKey });
  }

  static play(
    play: (scene: ClientScene, world: QuicWorld) => Promise<void>,
    limits: Parameters<typeof QuicWorld.run>[0] = {},
  ): Promise<void> {
    return QuicWorld.run(limits, async (world) => {
      const scene = new ClientScene(await world.identities.make());
      const { identity, log, metrics } = scene;
      const onClient: ClientHandler = {
        admit: (key) => Promise.resolve(scene.#judge(key)),
        answer: (request, gone) => scene.answer(request, gone),
      };
      const node = new RecordingNode();
      const opened = await world.open(node, { identity, log, metrics, onClient });
      scene.transport = opened.transport;
      await play(scene, world);
    });
  }

  get port(): number {
    return Number(this.transport.address.split(":").at(-1));
  }

  /** One request over QUIC, with the scene's own key unless another is given. */
  ask(path: string, init: RequestInit = {}, keyText = this.keyText): Promise<Response> {
    const key = decodeApiKey(keyText);
    assert.ok(key.kind === "decoded");
    const at = { hostname: "127.0.0.1", port: this.port };
    return askRemote({ ...at, key: key.value, keyText, clock: testClock }, path, init);
  }

  /** A session over WebTransport that has not said anything. */
  openWeb(path: string = CLIENT_PATH): Promise<WebClient> {
    return WebClient.open(this.identity.leaf, `https://127.0.0.1:${this.port}${path}`);
  }

  #judge(key: string): Awaited<ReturnType<ClientHandler["admit"]>> {
    const isKnown = key === this.keyText || key === this.otherKeyText;
    const reason = !isKnown ? "it is another key" : key === this.keyText ? this.refusal : undefined;
    return reason === undefined
      ? { kind: "welcome", node: "n1", version: "0.1.0" }
      : { kind: "refused", reason };
  }
}

/** As a browser would speak. */
export class WebClient {
  readonly transport: WebTransport;

  private constructor(transport: WebTransport) {
    this.transport = transport;
    transport.closed.catch(() => {});
  }

  /** `leaf`: DER of the certificate that the node shows, which is known by its hash. */
  static async open(leaf: Uint8Array<ArrayBuffer>, url: string): Promise<WebClient> {
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", leaf));
    return await WebClient.connect(hash, url);
  }

  static async connect(hash: Uint8Array<ArrayBuffer>, url: string): Promise<WebClient> {
    const serverCertificateHashes = [{ algorithm: "sha-256", value: hash }];
    const client = new WebClient(new WebTransport(url, { serverCertificateHashes }));
    await client.transport.ready;
    return client;
  }

  async openStream(): Promise<ClientStream> {
    const { readable, writable } = await this.transport.createBidirectionalStream();
    const streams = takeStream({
      readable: readable as ReadableStream<Uint8Array<ArrayBuffer>>,
      writable,
    });
    return new ClientStream(streams, { nowMs: () => performance.now() });
  }

  /** Shows the key; what the node says to it. */
  async greet(key: string) {
    const stream = await this.openStream();
    await stream.writeKind("hello");
    await stream.writeHead({ key });
    return await stream.readHead(clientVerdictShape);
  }

  /** Sends a request without a body and reads the answer's head. */
  async begin(path: string, method = "GET") {
    const stream = await this.openStream();
    await stream.writeKind("stream");
    await stream.writeHead({ method, path, headers: [] });
    await stream.writeEnd();
    return { stream, head: await stream.readHead(answerHeadShape) };
  }

  /** A whole exchange. */
  async ask(path: string): Promise<{ readonly status: number; readonly text: string }> {
    const { stream, head } = await this.begin(path);
    let text = "";
    for (;;) {
      const piece = await stream.readPiece();
      if (piece.kind !== "bytes") {
        assert.equal(piece.kind, "end");
        return { status: head.status, text };
      }
      text += new TextDecoder().decode(piece.bytes);
    }
  }

  close(): void {
    this.transport.close();
  }
}
