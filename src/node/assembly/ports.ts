import type { CellMoves, Machine } from "../../slots/mod.ts";
import type { IncidentRecorder } from "../../incidents/mod.ts";
import type { Digest } from "../../base/mod.ts";
import type { TemplateWorkers } from "../../models/mod.ts";
import type {
  BlobStore,
  Clock,
  Devices,
  Disk,
  Engine,
  KeptFile,
  Log,
  Metrics,
  ModelCatalog,
  Power,
  Quantizer,
  RangeStore,
  RegistryKey,
  SecretFiles,
} from "../../ports/mod.ts";
import type { LoadSettings } from "../../protocol/mod.ts";
import type { DialSeed, OpenTransportOptions, QuicTransport } from "../../transport/mod.ts";

/** What a node stands on: a machine and its network, or what stands for them in a test. */
export interface NodePorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly recorder: IncidentRecorder;
  /** Unsigned 32-bit. */
  readonly drawSeed: () => number;
  readonly machine: Machine;
  readonly devices: Devices;
  readonly power: Power;
  readonly engine: Engine;
  /** Bytes of weights that one token reads of a model; undefined = its file doesn't say. Absent = nobody can tell. */
  readonly tokenBytesOf?: (settings: LoadSettings) => Promise<number | undefined>;
  /** Where the engine's models get what others have computed; absent = they compute all themselves. */
  readonly cellMoves?: CellMoves;
  readonly quantizer: Quantizer;
  readonly templates: TemplateWorkers;
  readonly registryKey: RegistryKey;
  /** The models folder. */
  readonly openModels: () => Promise<StoredModels>;
  /** Parts of blobs that are not there. Absent = none are kept. */
  readonly openRanges?: () => Promise<RangeStore>;
  readonly openFile: (path: string) => KeptFile;
  /** Made where it is missing. */
  readonly openSecrets: (folder: string) => Promise<SecretFiles>;
  readonly openDisk: (folder: string) => Promise<Disk>;
  /** What {@link openDisk} opened, once that is closed. Absent is fine. */
  readonly removeDisk: (folder: string) => Promise<void>;
  readonly openTransport: (options: OpenTransportOptions) => Promise<QuicTransport>;
  readonly dialSeed: DialSeed;
}

/** A folder of models. */
export interface StoredModels {
  readonly blobs: BlobStore;
  readonly catalog: ModelCatalog;
  /** Puts the model in that ships with the program. */
  addEmbedded(): Promise<void>;
  /** Undefined = can't be told. */
  freeBytes(): Promise<number | undefined>;
  /** Clears garbage out of it. */
  prune(alsoReferenced: ReadonlySet<Digest>): Promise<void>;
}
