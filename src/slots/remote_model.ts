import {
  type EdgeError,
  errorMessage,
  Heartbeat,
  isEdgeError,
  PeerError,
  SilenceWatch,
  UnavailableError,
} from "../base/mod.ts";
import { type LeaseCommand, type LeaseReply, MessageStream, readReply } from "../calls/mod.ts";
import { LEASE_BEAT_MS, type Patience, PEER_DOUBT, SPLIT_LEASE } from "../core/answers/mod.ts";
import { ChannelledModel } from "../inference/mod.ts";
import type { Clock, LoadedModel, PeerStream, SplitView } from "../ports/mod.ts";
import { fromWireError, type LoadedFacts, type ModelCommand } from "../protocol/mod.ts";

type Granted = Extract<LeaseReply, { kind: "granted" }>;

/**
 * A model on another node, through the stream of one lease. However the stream ends, every call fails with `runner_lost`
 * from then on, and its request goes on elsewhere.
 */
export class RemoteModel extends ChannelledModel implements LoadedModel {
  readonly exited: LoadedModel["exited"];
  /** Resolves when the slot is held; rejects with why it is not. */
  readonly granted: Promise<Granted>;
  readonly #messages: MessageStream;
  readonly #silence: SilenceWatch;
  readonly #heartbeat: Heartbeat;
  readonly #grant = Promise.withResolvers<Granted>();
  readonly #exit = Promise.withResolvers<{ readonly expected: boolean; readonly reason: string }>();
  readonly #splitSilenceMs: number;
  #silenceMs: number;
  #held: Granted | undefined;
  #lost: UnavailableError | undefined;

  constructor(
    stream: PeerStream,
    parts: {
      readonly clock: Clock;
      readonly patience: Patience;
      /** Whether no other node could go on. */
      readonly isIrreplaceable?: boolean;
    },
  ) {
    super({
      send: (command) => this.#ask(command),
      onNonsense: (reason) => this.#end(lost(`its node is of no use: ${reason}`)),
    });
    const { clock, patience, isIrreplaceable = false } = parts;
    this.#silenceMs = patience.silenceMs;
    this.#splitSilenceMs = isIrreplaceable ? patience.silenceMs : SPLIT_LEASE.silenceMs;
    this.#messages = new MessageStream(stream, () => {
      this.#silence.bear(this.#silenceMs);
      this.#silence.heard();
    });
    this.granted = this.#grant.promise;
    // It may fail before anyone waits for it.
    this.granted.catch(() => {});
    this.exited = this.#exit.promise;
    this.#silence = new SilenceWatch(clock, {
      limitMs: patience.firstWordMs,
      onSilent: () => this.#end(lost(`node ${stream.peer} said nothing for too long`)),
    });
    this.#heartbeat = new Heartbeat(clock, {
      everyMs: LEASE_BEAT_MS,
      send: () => {
        if (this.#messages.writesWaiting === 0) this.#send({ kind: "beat" });
      },
    });
    void this.#readAll();
  }

  /** Of the runner on its node. */
  get processId(): number {
    return this.#holding().processId;
  }

  get split(): SplitView | undefined {
    return this.#holding().split;
  }

  get facts(): LoadedFacts {
    return this.#holding().facts;
  }

  /** Undefined before the slot is held. */
  get grantedFacts(): LoadedFacts | undefined {
    return this.#held?.facts;
  }

  /** Gives the slot back; the runner belongs to its node and stays. */
  async unload(): Promise<void> {
    this.close();
    await this.exited;
  }

  /** Gives the slot back: what still runs for it is cut. */
  close(): void {
    this.#end(GIVEN_BACK, { expected: true });
  }

  /**
   * The node is doubted by those who watch it. What it says here speaks louder: probes are missed on slow networks and busy
   * machines, and moving an answer for each would cost more than it saves, or never end.
   */
  doubt(): void {
    this.#silence.doubt(PEER_DOUBT);
  }

  /** The node is gone. */
  giveUp(): void {
    this.#end(lost("its node does not answer other members"));
  }

  #ask(command: ModelCommand): void {
    // A stream that is not read makes its other end wait by itself.
    if (command.kind === "taken") return;
    if (command.kind !== "generate") return this.#send(command);
    const { kind, id, request } = command;
    this.#send({ kind, id, request });
  }

  #send(command: LeaseCommand): void {
    if (this.#lost !== undefined) return;
    this.#heartbeat.spoke();
    this.#messages.write(command).catch((error) => this.#sendFailed(command, error));
  }

  /** A command that can't be sent, being too long, fails alone; else the stream is gone. */
  #sendFailed(command: LeaseCommand, error: unknown): void {
    if (error instanceof PeerError && "id" in command) {
      this.channel.failOne(command.id, error);
    } else {
      this.#end(lost(errorMessage(error)));
    }
  }

  async #readAll(): Promise<void> {
    try {
      while (this.#lost === undefined) {
        this.#silence.resume();
        const message = await this.#messages.read();
        this.#silence.pause();
        if (message === undefined) return this.#end(lost("its node ended the lease"));
        const room = this.#take(readReply(message));
        if (room !== undefined) await room;
      }
    } catch (error) {
      this.#end(error instanceof PeerError ? error : lost(errorMessage(error)));
    }
  }

  /** A promise when nothing more should be read for now. */
  #take(reply: LeaseReply): Promise<void> | undefined {
    switch (reply.kind) {
      case "granted":
        this.#held ??= reply;
        if (reply.split !== undefined) this.#silence.bear(this.#silenceMs = this.#splitSilenceMs);
        this.#grant.resolve(reply);
        return undefined;
      case "refused":
        this.#end(fromWireError(reply.error));
        return undefined;
      case "beat":
        return undefined;
      default:
        return this.channel.receive(reply);
    }
  }

  #end(error: EdgeError, options: { readonly expected: boolean } = { expected: false }): void {
    if (this.#lost !== undefined) return;
    const reason = error.message;
    this.#lost = isLoss(error) ? error : lost(reason);
    this.#silence.stop();
    this.#heartbeat.stop();
    this.#messages.reset();
    if (this.#held === undefined) {
      // Before the slot was held, the reason decides where to ask next.
      this.#grant.reject(isLoss(error) ? new UnavailableError("peer_lost", reason) : error);
    }
    this.channel.lose(this.#lost);
    this.#exit.resolve({ expected: options.expected, reason });
  }

  #holding(): Granted {
    if (this.#held === undefined) throw lost("its slot is not held yet");
    return this.#held;
  }
}

function isLoss(error: unknown): error is UnavailableError {
  return isEdgeError(error) && error.code === "runner_lost" && error instanceof UnavailableError;
}

/** Made once: each answer ends so, and an error of its own has a stack that nobody reads. */
const GIVEN_BACK = lost("its slot was given back");

function lost(reason: string): UnavailableError {
  return new UnavailableError("runner_lost", `The runner is gone: ${reason}`);
}
