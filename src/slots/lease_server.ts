import {
  assertNever,
  errorMessage,
  Heartbeat,
  isEdgeError,
  type NodeId,
  PeerError,
  RequestError,
  type RequestIds,
  requestIdsOf,
  SilenceWatch,
  UnavailableError,
} from "../base/mod.ts";
import {
  ASKER_SILENCE_MS,
  LEASE_BEAT_MS,
  LEASE_COMMANDS_MAX,
  LEASES_PER_PEER_MAX,
  SPLIT_LEASE,
} from "../core/answers/mod.ts";
import type { Clock, Log, PeerStream, RequestAccount } from "../ports/mod.ts";
import { toWireError, vectorToBytes } from "../protocol/mod.ts";
import {
  type LeaseCommand,
  type LeaseOpening,
  type LeaseReply,
  MessageStream,
  readCommand,
  readOpening,
  type StreamHandler,
} from "../calls/mod.ts";
import { neededModel } from "./lease.ts";
import type { OptionDefaults, ResolvedLoad } from "../models/mod.ts";
import { type Span, startSpan, traceLoad, traceRun } from "../telemetry/mod.ts";
import type { RouteJournal } from "./route_journal.ts";
import type { Lease, SchedulerDriver, ServingNode, SlotRequest } from "./scheduler_driver.ts";
import type { FindDefinition } from "../library/mod.ts";

/** A lease that is granted sooner needs no other word before. Milliseconds. */
const FIRST_WORD_MS = 20;

/** What serving leases to other nodes takes. */
export interface LeaseServerParts {
  readonly driver: Pick<SchedulerDriver, "acquire">;
  /** This node's own definition of a model, with its own paths; undefined when it is not whole here. */
  readonly findDefinition: FindDefinition;
  /** What loads have here whoever asks: otherwise nodes with different settings would make each other reload. */
  readonly defaults: Pick<
    OptionDefaults,
    "slots" | "flashAttention" | "kvCacheType" | "exact" | "speculate"
  >;
  readonly clock: Clock;
  readonly log: Log;
  readonly self: ServingNode;
  /** Remembers what was lent. */
  readonly journal: Pick<RouteJournal, "noteServed">;
}

/** Gives slots of this node to other nodes, a stream each. */
export class LeaseServer implements StreamHandler {
  readonly streamsPerPeerMax = LEASES_PER_PEER_MAX;
  readonly #parts: LeaseServerParts;
  readonly #sessions = new Set<LeaseSession>();

  constructor(parts: LeaseServerParts) {
    this.#parts = parts;
  }

  async serve(stream: PeerStream, opening: unknown): Promise<void> {
    const asked = readOpening(opening);
    if (asked.answer !== undefined) this.supersede(asked.answer, stream.peer);
    const session = new LeaseSession(stream, this.#parts, asked);
    this.#sessions.add(session);
    try {
      await session.run();
    } finally {
      this.#sessions.delete(session);
    }
  }

  /** Leases on which something runs. */
  get busyCount(): number {
    return [...this.#sessions].filter(({ isBusy }) => isBusy).length;
  }

  /** A node goes on with an answer: what others asked for it here is over, and its slot free. */
  supersede(answer: string, by: NodeId): void {
    for (const session of this.#sessions) {
      if (session.answer === answer && session.peer !== by) {
        session.abandon("another node goes on with its answer");
      }
    }
  }

  /** A peer that is known to be gone gives its slots back at once. */
  dropPeer(peer: NodeId): void {
    for (const session of this.#sessions) {
      if (session.peer === peer) session.abandon(`node ${peer} is gone`);
    }
  }
}

/** One lease from its opening to the release of its slot. */
class LeaseSession {
  readonly peer: NodeId;
  readonly #parts: LeaseServerParts;
  readonly #asked: LeaseOpening;
  readonly #ids: RequestIds;
  readonly #span: Span;
  readonly #messages: MessageStream;
  readonly #silence: SilenceWatch;
  #heartbeat: Heartbeat;
  /** Aborted when the stream is over, for whatever reason. */
  readonly #over = new AbortController();
  readonly #commands = new Map<number, AbortController>();
  readonly #working = new Set<Promise<void>>();
  #lease: Lease | undefined;
  #fault: unknown;

  constructor(stream: PeerStream, parts: LeaseServerParts, asked: LeaseOpening) {
    this.peer = stream.peer;
    this.#parts = parts;
    this.#asked = asked;
    this.#ids = requestIdsOf(asked);
    this.#span = startSpan("odist.serve", {
      ...{ under: asked.traceparent, isAsked: true },
      attributes: {
        "odist.node": parts.self.name,
        "odist.model": asked.name,
        "odist.request_id": this.#ids.requestId,
      },
    });
    this.#messages = new MessageStream(stream, () => this.#silence.heard());
    this.#silence = new SilenceWatch(parts.clock, {
      limitMs: ASKER_SILENCE_MS,
      onSilent: () => this.abandon("it said nothing"),
    });
    this.#heartbeat = this.#beat(LEASE_BEAT_MS);
  }

  #beat(everyMs: number): Heartbeat {
    const send = () => {
      // A peer that does not read is told by what waits already.
      if (this.#messages.writesWaiting === 0) this.#tell({ kind: "beat" });
    };
    return new Heartbeat(this.#parts.clock, { everyMs, send });
  }

  get isBusy(): boolean {
    return this.#commands.size > 0;
  }

  /** Undefined = it is none that another node could go on with. */
  get answer(): string | undefined {
    return this.#asked.answer;
  }

  /** Resolves when the slot is free again. @throws PeerError when the peer sent nonsense. */
  async run(): Promise<void> {
    const { clock, journal, self } = this.#parts;
    const served = journal.noteServed({
      ...{ id: this.#ids.requestId, atMs: clock.nowMs(), askedBy: this.peer },
      ...{ model: this.#asked.name, standing: this.#asked.standing },
    });
    // Read from the start: a peer that leaves while its request waits must not be waited for.
    const reading = this.#readAll();
    // Whoever asks need not wait long to know that this node is there.
    const firstWord = this.#parts.clock.after(FIRST_WORD_MS, () => this.#tell({ kind: "beat" }));
    try {
      const lease = await this.#acquire(this.#asked).finally(() => firstWord.cancel());
      if (lease !== undefined) {
        this.#lease = lease;
        const { model, loadNs } = lease;
        served({ grantedAtMs: clock.nowMs(), loadMs: loadNs / 1e6 });
        // What follows is below a span that has ended, so that it is known even if this node dies under it.
        traceLoad(loadNs, { under: this.#span.traceparent, node: self.name });
        this.#span.end();
        const { facts, processId } = model;
        const { split } = model;
        if (split !== undefined && !this.#over.signal.aborted) {
          this.#heartbeat.stop();
          this.#heartbeat = this.#beat(SPLIT_LEASE.beatMs);
        }
        this.#tell({ kind: "granted", facts, processId, loadNs, ...split && { split } });
      }
      await reading;
    } finally {
      this.abandon("it is over");
      await Promise.allSettled([...this.#working, reading]);
      this.#lease?.release();
      served({ endedAtMs: clock.nowMs() });
    }
    if (this.#fault !== undefined) throw this.#fault;
  }

  /** Ends the stream and everything that runs for it. */
  abandon(reason: string): void {
    if (this.#over.signal.aborted) return;
    this.#silence.stop();
    this.#heartbeat.stop();
    this.#over.abort(new UnavailableError("peer_lost", `The asking node's lease ended: ${reason}`));
    for (const abort of this.#commands.values()) abort.abort();
    this.#messages.reset();
  }

  /** Undefined when it was refused or nobody wants it any more. */
  async #acquire(asked: LeaseOpening): Promise<Lease | undefined> {
    const { driver, log } = this.#parts;
    try {
      return await driver.acquire(await this.#slotRequest(asked), this.#over.signal);
    } catch (error) {
      this.#span.end(isEdgeError(error) ? error.code : "failed");
      if (this.#over.signal.aborted) return undefined;
      const reason = errorMessage(error);
      const level = isEdgeError(error) ? "debug" : "error";
      log.log(level, "lease_refused", {
        ...this.#ids,
        ...{ model: asked.name, peer: this.peer, reason },
      });
      this.#tell({ kind: "refused", error: toWireError(error) });
      return undefined;
    }
  }

  async #slotRequest(asked: LeaseOpening): Promise<SlotRequest> {
    const definition = await this.#parts.findDefinition(asked);
    if (definition === undefined) {
      throw new RequestError("model_not_found", `model "${asked.name}" is not whole on this node`);
    }
    const load = ownLoad(asked.load, this.#parts.defaults);
    const { need, settings } = neededModel(definition, load, asked.keepAliveMs);
    const { standing } = asked;
    const split = load.shard ?? asked.split;
    const { account, promptTokens, answerTokensMax } = asked;
    return {
      ...{ requestId: `${this.peer}/${asked.requestId}`, need, settings, standing, split },
      ...(account === undefined ? {} : { account: this.#accountOf(account) }),
      ...(promptTokens === undefined ? {} : { promptTokens }),
      ...(answerTokensMax === undefined ? {} : { answerTokensMax }),
    };
  }

  #accountOf(
    { tenant, priority, leftMs = Infinity }: NonNullable<LeaseOpening["account"]>,
  ): RequestAccount {
    return { tenant, priority, deadlineAtMs: this.#parts.clock.nowMs() + leftMs };
  }

  async #readAll(): Promise<void> {
    try {
      for (;;) {
        const message = await this.#messages.read();
        if (message === undefined) return this.abandon("it was given back");
        this.#take(readCommand(message));
      }
    } catch (error) {
      // A stream that is lost is normal; a peer's nonsense and our own bugs are for the log.
      if (error instanceof PeerError || !isEdgeError(error)) this.#fault = error;
      this.abandon(errorMessage(error));
    }
  }

  #take(command: LeaseCommand): void {
    if (command.kind === "beat") return;
    const lease = this.#lease;
    if (command.kind === "cancel") return this.#commands.get(command.id)?.abort();
    if (lease === undefined || this.#commands.has(command.id)) {
      throw new PeerError("malformed_frame", "A command without its lease, or with a used number");
    }
    if (this.#commands.size >= LEASE_COMMANDS_MAX) {
      throw new PeerError("malformed_frame", `More than ${LEASE_COMMANDS_MAX} commands at once`);
    }
    const abort = new AbortController();
    this.#commands.set(command.id, abort);
    const work = this.#obey(command, lease, abort.signal).finally(() => {
      this.#commands.delete(command.id);
      this.#working.delete(work);
    });
    this.#working.add(work);
  }

  /** Never rejects. */
  async #obey(
    command: Exclude<LeaseCommand, { kind: "beat" | "cancel" }>,
    lease: Lease,
    signal: AbortSignal,
  ): Promise<void> {
    const { id } = command;
    try {
      await this.#run(command, lease, signal);
    } catch (error) {
      if (this.#over.signal.aborted) return;
      if (isEdgeError(error) && error.code === "runner_lost") lease.lost();
      if (!isEdgeError(error) && !signal.aborted) {
        const seen = { ...this.#ids, reason: errorMessage(error) };
        this.#parts.log.log("error", "lease_command_failed", seen);
      }
      this.#tell({ kind: "failed", id, error: toWireError(error) });
    }
  }

  async #run(
    command: Exclude<LeaseCommand, { kind: "beat" | "cancel" }>,
    lease: Lease,
    signal: AbortSignal,
  ): Promise<void> {
    const { id } = command;
    const { model } = lease;
    switch (command.kind) {
      case "generate": {
        // A write waits while the peer does not read, and then the runner comes to wait.
        const place = { under: this.#span.traceparent, node: this.#parts.self.name };
        for await (const event of traceRun(model.generate(command.request, signal), place)) {
          await this.#send({ kind: "event", id, event });
        }
        return;
      }
      case "embed": {
        const { inputs, onLongInput, query } = command;
        const ranked = query === undefined ? {} : { query };
        const options = { onLongInput, signal, ...ranked };
        const { vectors, promptTokens } = await model.embed(inputs, options);
        const bytes = vectors.map(vectorToBytes);
        return await this.#send({ kind: "embedded", id, vectors: bytes, promptTokens });
      }
      case "tokenize": {
        const { text, addSpecial, tokensWanted } = command;
        const limit = tokensWanted === undefined ? {} : { tokensWanted };
        const tokens = await model.tokenize(text, { addSpecial, ...limit });
        return await this.#send({ kind: "tokenized", id, tokens });
      }
      case "detokenize":
        return await this.#send({
          kind: "detokenized",
          id,
          bytes: await model.detokenize(command.tokens),
        });
      default:
        assertNever(command);
    }
  }

  async #send(reply: LeaseReply): Promise<void> {
    this.#heartbeat.spoke();
    await this.#messages.write(reply);
  }

  /** For what nobody waits for; a stream that fails here fails its reader too. */
  #tell(reply: LeaseReply): void {
    this.#send(reply).catch((error) => this.abandon(errorMessage(error)));
  }
}

function ownLoad(asked: ResolvedLoad, own: LeaseServerParts["defaults"]): ResolvedLoad {
  return {
    ...withoutOwn(asked),
    slots: asked.mode === "embed" ? 1 : own.slots,
    flashAttention: own.flashAttention,
    kvCacheType: own.kvCacheType,
    ...ownExact(asked, own),
    ...asked.mode === "generate" && own.speculate === "auto" && { speculates: true },
  };
}

function withoutOwn({ exact: _, speculates: _also, ...rest }: ResolvedLoad): ResolvedLoad {
  return rest;
}

function ownExact(
  asked: ResolvedLoad,
  own: LeaseServerParts["defaults"],
): Pick<ResolvedLoad, "exact"> {
  if (asked.exact === "on") return { exact: "on" };
  return asked.mode === "embed" || own.exact === undefined ? {} : { exact: own.exact };
}
