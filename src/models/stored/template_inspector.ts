import { BoundedMap } from "../../base/mod.ts";
import { createHash } from "node:crypto";
import type { KeptFile } from "../../ports/mod.ts";
import type { TemplateSources, TemplateTraits } from "../template/mod.ts";
import type { TemplateOutcome, TemplateWorkers } from "../template_worker/mod.ts";

/** Inspections kept; a few hundred bytes each. The one made first goes. */
const INSPECTIONS_MAX = 4_096;
/** Bytes of the file at most; a larger one is not ours. */
const FILE_BYTES_MAX = 16 * 1024 * 1024;
/** Rises when other traits would be found in the same template: older files then count as absent. */
const FILE_VERSION = 2;

/** What is known of a model's template. */
export interface InspectedTemplate {
  /** All false where it can't be used. */
  readonly traits: TemplateTraits;
  /** Why it can't be used; absent = it can. */
  readonly failure?: string;
}

/** Templates of one model, as it is stored. */
export type StoredTemplates = Pick<
  TemplateSources,
  "goTemplate" | "jinjaTemplate" | "renderer" | "parser" | "architecture"
>;

/** What {@link TemplateInspector} takes. */
export interface TemplateInspectorParts {
  readonly workers: Pick<TemplateWorkers, "run">;
  /** Absent = forgotten with the process. */
  readonly file?: Pick<KeptFile, "read" | "write">;
}

/**
 * Tells what templates can express. Finding that out means to run them, so it happens once for each, in a worker, and is
 * kept.
 */
export class TemplateInspector {
  readonly #parts: TemplateInspectorParts;
  readonly #known = new BoundedMap<string, InspectedTemplate>(INSPECTIONS_MAX);
  readonly #running = new Map<string, Promise<InspectedTemplate>>();
  #saving: Promise<void> | undefined;
  #isChanged = false;

  constructor(parts: TemplateInspectorParts, known: Iterable<[string, InspectedTemplate]> = []) {
    this.#parts = parts;
    for (const [key, inspected] of known) this.#known.set(key, inspected);
  }

  /** With what the file holds. A file that can't be read counts as absent: everything in it can be found out again. */
  static async open(parts: TemplateInspectorParts): Promise<TemplateInspector> {
    const bytes = await parts.file?.read().catch(() => undefined);
    return new TemplateInspector(parts, bytes === undefined ? [] : parseFile(bytes));
  }

  /** What is known without running anything. */
  find(sources: StoredTemplates): InspectedTemplate | undefined {
    return this.#known.get(keyOf(sources));
  }

  /** What is known, or found out now. @throws UnavailableError when no worker can be had. */
  inspect(sources: StoredTemplates): Promise<InspectedTemplate> {
    const key = keyOf(sources);
    const known = this.#known.get(key);
    if (known !== undefined) return Promise.resolve(known);
    const running = this.#running.get(key) ?? this.#inspect(sources, key);
    this.#running.set(key, running);
    return running;
  }

  /** Resolves when what is known is in the file, as far as it can be written. */
  async saved(): Promise<void> {
    await this.#saving;
  }

  async #inspect(sources: StoredTemplates, key: string): Promise<InspectedTemplate> {
    try {
      const inspected = await this.#findOut(sources);
      this.#known.set(key, inspected);
      if (inspected.failure === undefined) this.#save();
      return inspected;
    } finally {
      this.#running.delete(key);
    }
  }

  async #findOut(sources: StoredTemplates): Promise<InspectedTemplate> {
    const { jinjaTemplate: _, ...others } = sources;
    let outcome = await this.#run(sources);
    // The Go template was written for this model, so it can do without the other one.
    if (outcome.kind !== "answer" && others.goTemplate !== undefined) {
      outcome = await this.#run(others);
    }
    if (outcome.kind === "answer") return { traits: outcome.traits };
    return { traits: NO_TRAITS, failure: outcome.message };
  }

  /** A machine under load may hold up a template that is not to blame, so one that ran out of time gets a second try. */
  async #run(sources: TemplateSources): Promise<TemplateOutcome> {
    const outcome = await this.#parts.workers.run(sources, null, "model");
    if (outcome.kind !== "exceeded") return outcome;
    return await this.#parts.workers.run(sources, null, "model");
  }

  /** One write at a time; what comes meanwhile is in the next. Failures are not kept: the next start looks again. */
  #save(): void {
    this.#isChanged = true;
    this.#saving ??= this.#saveAll().finally(() => this.#saving = undefined);
  }

  async #saveAll(): Promise<void> {
    while (this.#isChanged) {
      this.#isChanged = false;
      const kept = [...this.#known].filter(([, { failure }]) => failure === undefined);
      const text = JSON.stringify({
        version: FILE_VERSION,
        templates: Object.fromEntries(kept.map(([key, { traits }]) => [key, traits])),
      });
      // A full disk costs a second look after the next start, and nothing else.
      await this.#parts.file?.write(new TextEncoder().encode(text)).catch(() => {});
    }
  }
}

const NO_TRAITS: TemplateTraits = {
  kind: "none",
  capabilities: { tools: false, thinking: false, insert: false },
  toolCallTag: "",
};

function keyOf(sources: StoredTemplates): string {
  const { goTemplate, jinjaTemplate, renderer, parser } = sources;
  const hasTemplate = goTemplate !== undefined || jinjaTemplate !== undefined;
  // Where there is a template, the weights have no say.
  const architecture = hasTemplate ? undefined : sources.architecture;
  const parts = [goTemplate, jinjaTemplate, renderer, parser, architecture];
  const text = JSON.stringify(parts.map((part) => part ?? null));
  return createHash("sha256").update(text).digest("hex");
}

/** Rows that are not as they were written are left out. */
function parseFile(bytes: Uint8Array): Map<string, InspectedTemplate> {
  const known = new Map<string, InspectedTemplate>();
  if (bytes.length > FILE_BYTES_MAX) return known;
  const { version, templates } = parseObject(bytes);
  if (version !== FILE_VERSION || !isObject(templates)) return known;
  for (const [key, traits] of Object.entries(templates).slice(-INSPECTIONS_MAX)) {
    if (isTraits(traits)) known.set(key, { traits });
  }
  return known;
}

function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

function isTraits(value: unknown): value is TemplateTraits {
  if (!isObject(value) || !isObject(value["capabilities"])) return false;
  const { kind, family, known, toolCallTag, thinkingTags } = value;
  const { tools, thinking, insert } = value["capabilities"];
  return (kind === "go" || kind === "jinja" || kind === "none") &&
    typeof toolCallTag === "string" &&
    [family, known].every((name) => name === undefined || typeof name === "string") &&
    [tools, thinking, insert].every((has) => typeof has === "boolean") &&
    (thinkingTags === undefined || isObject(thinkingTags) &&
        typeof thinkingTags["open"] === "string" && typeof thinkingTags["close"] === "string");
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
