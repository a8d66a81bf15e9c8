/**
 * What a node stands on, without a machine: disks that outlive its process, a clock that stops with it, a network in
 * memory.
 *
 * @module
 */
import { IncidentRecorder } from "../../src/incidents/recorder.ts";
import {
  type NodeId,
  PeerError,
  type Random,
  sha256,
  UnavailableError,
} from "../../src/base/mod.ts";
import type { NodePorts } from "../../src/node/assembly/mod.ts";
import type { Clock, Engine, Power } from "../../src/ports/mod.ts";
import { nodeIdOf } from "../../src/protocol/mod.ts";
import { readCertificate } from "../../src/transport/identity/certificate.ts";
import { encodeIdentityRecord } from "../../src/transport/identity/identity_record.ts";
import { parseSigningKey } from "../../src/transport/identity/keys.ts";
import { formatPem, parsePems } from "../../src/transport/identity/pem.ts";
import type {
  DialSeed,
  NodeIdentity,
  OpenTransportOptions,
  QuicTransport,
} from "../../src/transport/mod.ts";
import { SimulatedDisk } from "../sim/simulated_disk.ts";
import { MemoryPipe } from "./frame_pipes.ts";
import { LOCAL_TEMPLATES } from "./local_templates.ts";
import { MemoryFiles } from "./memory_files.ts";
import { MemoryBlobStore, MemoryCatalog } from "./memory_models.ts";
import { RecordingTelemetry } from "./scripted_client.ts";
import type { SimulatedNetwork } from "./simulated_transport.ts";

/** PKCS#8 of a P-256 key up to its 32 bytes. */
const KEY_HEAD = "3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420";
const identities = new Map<number, Promise<{ nodeId: NodeId; privateKeyPem: string }>>();

/** The key of node 1 to 15, always the same; its id begins with the number. */
function identityOf(number: number): Promise<{ nodeId: NodeId; privateKeyPem: string }> {
  const known = identities.get(number);
  if (known !== undefined) return known;
  const made = (async () => {
    for (let draw = 0;; draw++) {
      const secret = sha256(new TextEncoder().encode(`node ${number} ${draw}`));
      const pem = formatPem(
        "PRIVATE KEY",
        Uint8Array.from([...Uint8Array.fromHex(KEY_HEAD), ...secret]),
      );
      const key = await parseSigningKey(pem);
      const nodeId = key && nodeIdOf(key.publicKey);
      if (nodeId?.startsWith(number.toString(16))) return { nodeId, privateKeyPem: pem };
    }
  })();
  identities.set(number, made);
  return made;
}

/** What a process planned. */
interface Planned {
  /** On the life's own monotonic clock. */
  readonly dueMs: number;
  readonly callback: () => void;
  timer: { cancel(): void } | undefined;
}

/** One life of a node's process: what it had planned ends with it, and waits while its machine is suspended. */
class Life {
  readonly clock: Clock;
  options: OpenTransportOptions | undefined;
  /** What it shows to whoever dials it. */
  identity: NodeIdentity | undefined;
  isOver = false;
  /** Timers that came due. */
  wakeUps = 0;
  readonly #world: Clock;
  readonly #planned = new Set<Planned>();
  #suspended: { readonly atMs: number; readonly clock: "stands" | "runs" } | undefined;
  /** How long its monotonic clock stood still. */
  #stoodMs = 0;

  constructor(clock: Clock, wallAheadMs: () => number) {
    this.#world = clock;
    this.clock = {
      nowMs: () => clock.nowMs() + wallAheadMs(),
      monotonicMs: () => this.#monotonicMs(),
      after: (delayMs, callback) => {
        const dueMs = this.#monotonicMs() + delayMs;
        const planned: Planned = { dueMs, callback, timer: undefined };
        this.#planned.add(planned);
        if (this.#suspended === undefined) this.#arm(planned);
        return {
          cancel: () => {
            planned.timer?.cancel();
            this.#planned.delete(planned);
          },
        };
      },
    };
  }

  /** `clock`: whether the monotonic one stands meanwhile, as in a machine that sleeps, or runs, as in a process that is stopped. */
  suspend(clock: "stands" | "runs"): void {
    this.#suspended = { atMs: this.#world.monotonicMs(), clock };
    for (const { timer } of this.#planned) timer?.cancel();
  }

  resume(): void {
    const { atMs, clock } = mustBe(this.#suspended);
    if (clock === "stands") this.#stoodMs += this.#world.monotonicMs() - atMs;
    this.#suspended = undefined;
    for (const planned of this.#planned) this.#arm(planned);
  }

  #monotonicMs(): number {
    const { atMs, clock } = this.#suspended ?? {};
    const worldMs = clock === "stands" && atMs !== undefined ? atMs : this.#world.monotonicMs();
    return worldMs - this.#stoodMs;
  }

  #arm(planned: Planned): void {
    const delayMs = Math.max(0, planned.dueMs - this.#monotonicMs());
    planned.timer = this.#world.after(delayMs, () => {
      this.#planned.delete(planned);
      if (this.isOver) return;
      this.wakeUps++;
      planned.callback();
    });
  }
}

function mustBe<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the machine is not suspended");
  return value;
}

/** As TLS has it: the certificate is for the name, and leads to the anchor's key. */
async function isTrusted(
  shown: NodeIdentity | undefined,
  { anchorPem, serverName }: Parameters<DialSeed>[1],
): Promise<boolean> {
  const read = (pem: string) => (parsePems("CERTIFICATE", pem) ?? []).map(readCertificate);
  const [anchor] = read(anchorPem);
  const chain = read(shown?.certificatePem ?? "");
  if (anchor === undefined || !chain[0]?.names.includes(serverName)) return false;
  for (const [at, certificate] of chain.entries()) {
    if (await certificate?.isSignedBy(anchor.publicKey)) return true;
    const issuer = chain[at + 1]?.publicKey;
    if (issuer === undefined || !await certificate?.isSignedBy(issuer)) return false;
  }
  return false;
}

/** What each node of a world is reached by. */
export type Machines = ReadonlyMap<number, SimulatedMachine>;

/** What is left of a node while it is off, and the ports of one that runs. */
export class SimulatedMachine {
  readonly number: number;
  readonly nodeId: NodeId;
  /** Where it listens, or did. */
  address: string;
  readonly telemetry = new RecordingTelemetry();
  /** Of its last life. */
  recorder: IncidentRecorder | undefined;
  /** Of no network card, unless a test gives it some. */
  power: Power = {
    cards: () => [],
    isUserHere: async () => undefined,
    suspend: async () => {
      throw new UnavailableError("sleep_failed", "this machine does not sleep");
    },
    broadcast: async () => {},
    coreSeconds: async () => undefined,
  };
  /** Replaceable while the node is off. */
  blobs = new MemoryBlobStore();
  readonly catalog: MemoryCatalog;
  disk = new SimulatedDisk();
  secrets = new MemoryFiles();
  /** What it keeps besides, by path. */
  readonly files = new MemoryFiles();
  readonly #network: SimulatedNetwork;
  readonly #machines: Machines;
  /** How far its wall clock is ahead of the others'. */
  wallAheadMs = 0;
  #life: Life;

  private constructor(
    on: { readonly network: SimulatedNetwork; readonly machines: Machines },
    who: { readonly number: number; readonly nodeId: NodeId },
  ) {
    this.number = who.number;
    this.nodeId = who.nodeId;
    this.address = `10.0.0.${who.number}:11435`;
    this.#network = on.network;
    this.#machines = on.machines;
    this.#life = new Life(on.network.clock, () => this.wallAheadMs);
    this.catalog = new MemoryCatalog(on.network.clock.nowMs);
  }

  static async open(
    on: { readonly network: SimulatedNetwork; readonly machines: Machines },
    number: number,
  ): Promise<SimulatedMachine> {
    const { nodeId, privateKeyPem } = await identityOf(number);
    const machine = new SimulatedMachine(on, { number, nodeId });
    const life = { nodeId, cluster: null, name: "", bootEpoch: 0, incarnation: 0 };
    await machine.secrets.write("key.pem", new TextEncoder().encode(privateKeyPem));
    await machine.secrets.write("identity.json", encodeIdentityRecord(life));
    return machine;
  }

  /** Log lines of these events as `event key=value ...`. */
  told(...events: readonly string[]): readonly string[] {
    return this.telemetry.lines.filter(({ event }) => events.includes(event)).map((line) =>
      [line.event, ...Object.entries(line.values).map(([key, value]) => `${key}=${value}`)].join(
        " ",
      )
    );
  }

  /** The ports of a new life. */
  boot(by: { readonly random: Random; readonly engine: (clock: Clock) => Engine }): NodePorts {
    const life = this.#life = new Life(this.#network.clock, () => this.wallAheadMs);
    return {
      clock: life.clock,
      log: this.telemetry,
      metrics: this.telemetry,
      recorder: this.recorder = new IncidentRecorder({
        ...{ clock: life.clock, log: this.telemetry },
        // So that most of what tests replay begins in the middle of a life.
        stretchSteps: 100,
      }),
      drawSeed: () => by.random.below(2 ** 32),
      machine: { availableBytes: () => 1e12, cores: 2 },
      devices: { list: () => [], look: () => Promise.resolve() },
      power: this.power,
      engine: by.engine(life.clock),
      quantizer: { quantize: () => Promise.reject(new Error("no quantizer")) },
      templates: LOCAL_TEMPLATES,
      registryKey: { publicKey: async () => "", sign: async () => "" },
      openModels: async () => ({
        blobs: this.blobs,
        catalog: this.catalog,
        addEmbedded: async () => {},
        freeBytes: async () => undefined,
        prune: async () => {},
      }),
      openFile: (path) => ({
        read: () => this.files.read(path),
        write: (bytes) => this.files.write(path, bytes),
        remove: () => this.files.remove(path),
      }),
      openSecrets: async () => this.secrets,
      openDisk: async () => this.disk,
      removeDisk: async () => void (this.disk = new SimulatedDisk()),
      openTransport: (options) => this.#openTransport(life, options),
      dialSeed: (...of) => this.#dial(...of),
    };
  }

  /** See {@link Life.suspend}; what is sent meanwhile is lost. */
  suspend(clock: "stands" | "runs"): void {
    this.#life.suspend(clock);
    for (const { nodeId } of this.#machines.values()) {
      if (nodeId !== this.nodeId) this.#network.partition([this.nodeId], [nodeId]);
    }
  }

  resume(): void {
    for (const { nodeId } of this.#machines.values()) {
      this.#network.heal(this.nodeId, nodeId);
      this.#network.heal(nodeId, this.nodeId);
    }
    this.#life.resume();
  }

  /** Nothing of this life is heard any more. */
  end(): void {
    this.#life.isOver = true;
    this.#network.crash(this.nodeId);
  }

  /** The process dies; with `power`, what its disk had not synced may be gone too. */
  crash(random: Random, options: { readonly power: boolean }): void {
    this.end();
    // The dead process still holds the old ones.
    this.disk = options.power ? this.disk.crash(random) : this.disk.killProcess();
    this.secrets = this.secrets.killProcess();
  }

  async #openTransport(life: Life, options: OpenTransportOptions): Promise<QuicTransport> {
    life.options = options;
    life.identity = options.identity;
    const { directory, handlers } = options;
    const admits = (peer: NodeId) => {
      const key = [...this.#machines.values()].find(({ nodeId }) => nodeId === peer)?.publicKey;
      return key !== undefined && directory.judge(peer, key) === "admitted";
    };
    const dials = (peer: NodeId) => directory.findKey?.(peer) !== undefined;
    const gate = { admits, dials };
    const transport = this.#network.open(this.nodeId, this.address, handlers, gate);
    return Object.assign(transport, {
      useIdentity: (identity: NodeIdentity) => void (life.identity = identity),
      hint: (address: string) => void transport.hints.add(address),
      judgeAgain() {
        for (const { peer } of transport.connections()) {
          if (!admits(peer)) transport.disconnect(peer);
        }
      },
    });
  }

  /** How often a timer woke the running or last process. */
  get wakeUps(): number {
    return this.#life.wakeUps;
  }

  /** The key that the running or last process showed. */
  get publicKey(): Uint8Array | undefined {
    return this.#life.options?.identity.publicKey;
  }

  #dial: DialSeed = async ({ hostname, port }, trust) => {
    const seed = [...this.#machines.values()].find(({ address }) =>
      address === `${hostname}:${port}`
    );
    const life = seed === undefined || this.#network.isCut(this.nodeId, seed.nodeId)
      ? undefined
      : seed.#life;
    const answer = life?.isOver === false ? life.options?.onJoin : undefined;
    if (answer === undefined) {
      throw new UnavailableError("node_unreachable", "nobody answered");
    }
    if (!await isTrusted(life?.identity, trust)) {
      throw new PeerError("peer_refused", "its certificate is not of the anchor's making");
    }
    const { left, right } = MemoryPipe.pair();
    void answer(right, this.address).catch(() => {}).finally(() => right.end());
    return { pipe: left, close: () => left.end() };
  };
}
