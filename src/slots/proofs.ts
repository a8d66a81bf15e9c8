import { BoundedMap } from "../base/mod.ts";
import type { Engine, KeptFile } from "../ports/mod.ts";
import type { ExactProof, LoadSettings } from "../protocol/mod.ts";
import {
  arrayShape,
  booleanShape,
  choiceShape,
  maybeShape,
  numberShape,
  objectShape,
  readShape,
  type Shape,
  textShape,
} from "../protocol/mod.ts";

/** Models whose proofs are kept; those of the one used longest ago go. */
const MODELS_MAX = 512;
/** Proofs of one model: one for each build, window and number of threads. */
const PROOFS_PER_MODEL_MAX = 16;
/** Rises when a proof proves something else: older ones then count as absent. */
const FILE_VERSION = 1;

const proofShape: Shape<ExactProof> = objectShape({
  of: textShape(1024),
  policy: maybeShape(
    choiceShape(["plain", "short", "unpacked", "paired", "unpacked_paired", "single_thread"]),
  ),
  reason: textShape(4096),
  isFinished: booleanShape,
  anyThreads: booleanShape,
  prefillRatio: numberShape(0),
  decodeRatio: numberShape(0),
  proofMs: numberShape(0),
});
const fileShape = objectShape({
  version: numberShape(FILE_VERSION, FILE_VERSION),
  models: arrayShape(
    objectShape({ files: textShape(8192), proofs: arrayShape(proofShape, PROOFS_PER_MODEL_MAX) }),
    MODELS_MAX,
  ),
});

/** What earlier loads have proven, by the files of the model. */
export class ProofBook {
  readonly #file: Pick<KeptFile, "read" | "write"> | undefined;
  readonly #proofs = new BoundedMap<string, readonly ExactProof[]>(MODELS_MAX);
  #writing: Promise<void> = Promise.resolve();

  /** Without a file, proofs are forgotten with the process. */
  constructor(file?: Pick<KeptFile, "read" | "write">) {
    this.#file = file;
  }

  /** With what the file holds. One that can't be read counts as absent: all in it can be proven again. */
  static async open(file: Pick<KeptFile, "read" | "write">): Promise<ProofBook> {
    const book = new ProofBook(file);
    const bytes = await file.read().catch(() => undefined);
    for (const { files, proofs } of bytes === undefined ? [] : parseFile(bytes)) {
      book.#proofs.set(files, proofs);
    }
    return book;
  }

  find(settings: LoadSettings): readonly ExactProof[] {
    return this.#proofs.use(filesOf(settings)) ?? [];
  }

  add(settings: LoadSettings, proof: ExactProof): void {
    const files = filesOf(settings);
    const others = (this.#proofs.get(files) ?? []).filter(({ of }) => of !== proof.of);
    this.#proofs.set(files, [...others, proof].slice(-PROOFS_PER_MODEL_MAX));
    // A full disk costs another proof after the next start, and nothing else.
    this.#writing = this.#writing.then(() => this.#save()).catch(() => {});
  }

  /** Resolves when what is known is in the file, as far as it can be written. */
  async saved(): Promise<void> {
    await this.#writing;
  }

  async #save(): Promise<void> {
    const models = [...this.#proofs].map(([files, proofs]) => ({
      files,
      proofs: proofs.filter(isLasting),
    }));
    const text = JSON.stringify({ version: FILE_VERSION, models });
    await this.#file?.write(new TextEncoder().encode(text));
  }
}

/** A machine that was too busy for a proof may have time for it after the next start. */
function isLasting({ isFinished, policy }: ExactProof): boolean {
  return isFinished || policy !== undefined;
}

/** Blobs are named by their digests. */
function filesOf({ modelPath, adapterPaths }: LoadSettings): string {
  return [modelPath, ...adapterPaths].map((path) => path.replace(/^.*[/\\]/, "")).join("+");
}

function parseFile(bytes: Uint8Array) {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    const read = readShape(fileShape, value);
    return read.kind === "decoded" ? read.value.models : [];
  } catch {
    return [];
  }
}

/** The engine, which is handed what was proven of a model, and whose new proofs are kept. */
export function provenEngine(engine: Engine, book: ProofBook): Engine {
  return {
    async load(settings, options) {
      const proofs = book.find(settings);
      const model = await engine.load({ ...settings, proofs }, options);
      if (model.proof !== undefined) book.add(settings, model.proof);
      return model;
    },
  };
}
