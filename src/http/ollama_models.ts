import { parseDigest, RequestError } from "../base/mod.ts";
import {
  type CreateRequest,
  type ListedModel,
  type LoadedModelRow,
  type ModelDetails,
  type ShownModel,
  type TransferProgress,
  WARNING_STATUS,
} from "../ports/mod.ts";
import { type Exchange, type HttpParts, modelField, readOf, requireModel } from "./exchange.ts";
import { nativeFailureAnswer } from "./ollama.ts";
import { streamLines } from "./ollama_lines.ts";
import { type ApiFamily, type Route, routesFor } from "./routes.ts";
import {
  defined,
  DURATION_MS_MAX,
  type Fields,
  jsonAnswer,
  localTime,
  parseMessages,
  parseOptions,
  shardShape,
  wireFields,
} from "./wire/mod.ts";

/** A client of this kind is shown the requested name as the model's own (contract 1.0). */
const NAME_ECHO_USER_AGENT = "GitHubCopilotChat/";
/** Licence texts of one model at most. */
const LICENSES_MAX = 1_024;
/** Fields of /api/create that odist has no feature for: refused rather than dropped. */
const CREATE_UNSUPPORTED = ["remote_host"];

/** The native endpoints about stored models (contract 1.10 to 1.12). */
export function ollamaModelsFamily(parts: HttpParts): ApiFamily {
  const { client } = parts;
  const routes: Route[] = [
    ...routesFor("use", {
      "GET /api/tags": (exchange) => list(parts, exchange),
      "GET /api/ps": async (exchange) => {
        const read = readOf(exchange);
        const rows = await client.listLoaded(read.options);
        const nowMs = parts.clock.nowMs();
        return read.answer(jsonAnswer({ models: rows.map((row) => loadedRow(row, nowMs)) }));
      },
      "POST /api/show": (exchange) => show(parts, exchange),
    }),
    ...routesFor("models", {
      "POST /api/create": (exchange) => create(parts, exchange),
      "POST /api/copy": (exchange) => copy(parts, exchange),
      "DELETE /api/delete": (exchange) => remove(parts, exchange),
      "POST /api/pull": (exchange) => pull(parts, exchange),
      "POST /api/push": (exchange) => push(parts, exchange),
      "HEAD /api/blobs/:digest": (it) => findBlob(parts, it),
      "POST /api/blobs/:digest": (it) => writeBlob(parts, it),
    }),
  ];
  return { name: "ollama", routes, failureAnswer: nativeFailureAnswer };
}

function detailsRow(details: ModelDetails): object {
  const sizes = ["parameterSize", "quantizationLevel"] as const;
  return wireFields(details, ["parentModel", "format", "family", "families", ...sizes]);
}

function listedRow(model: ListedModel): object {
  return {
    name: model.name,
    model: model.name,
    modified_at: localTime(model.modifiedAtMs),
    size: model.size,
    digest: model.digest,
    local: model.isLocal,
    // The other answers have the lengths in places of their own.
    details: {
      ...detailsRow(model.details),
      ...wireFields(model.details, ["contextLength", "embeddingLength"]),
    },
    capabilities: model.capabilities.length === 0 ? undefined : model.capabilities,
  };
}

function loadedRow(model: LoadedModelRow, nowMs: number): object {
  const expiresAtMs = Math.min(model.expiresAtMs, nowMs + DURATION_MS_MAX);
  return {
    name: model.name,
    model: model.name,
    size: model.size,
    digest: model.digest,
    details: detailsRow(model.details),
    expires_at: localTime(expiresAtMs),
    size_vram: model.sizeVram,
    context_length: model.contextLength,
    exact: model.exactness?.isExact,
    exact_policy: model.exactness?.policy,
    exact_reason: model.exactness?.reason || undefined,
    speculates: model.speculates,
    node: model.node,
    shards: model.shards?.map(shardShape),
  };
}

async function list(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const read = readOf(exchange);
  const models = await parts.client.listModels(read.options);
  return read.answer(jsonAnswer({ models: models.map(listedRow) }));
}

async function show(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const read = readOf(exchange);
  const fields = await exchange.readFields();
  const model = requireModel(fields);
  const request = defined({
    model,
    verbose: fields.boolean("verbose") ?? false,
    system: fields.string("system") || undefined,
    options: parseOptions(fields.object("options")),
    namesFiles: exchange.isOwn ? undefined : false,
  });
  const shown = await parts.client.showModel(request, read.options);
  const echoName = exchange.request.headers.get("user-agent")?.startsWith(NAME_ECHO_USER_AGENT);
  const echoed = echoName ? { "general.basename": model } : {};
  const row = { ...shownRow(shown), model_info: { ...shown.modelInfo, ...echoed } };
  return read.answer(jsonAnswer(row));
}

function shownRow(shown: ShownModel): object {
  return {
    license: shown.license || undefined,
    modelfile: shown.modelfile || undefined,
    parameters: shown.parameters || undefined,
    template: shown.template || undefined,
    system: shown.system || undefined,
    details: detailsRow(shown.details),
    messages: shown.messages?.length ? shown.messages : undefined,
    model_info: shown.modelInfo,
    projector_info: shown.projectorInfo,
    tensors: shown.tensors?.length ? shown.tensors : undefined,
    capabilities: shown.capabilities.length === 0 ? undefined : shown.capabilities,
    modified_at: localTime(shown.modifiedAtMs),
    requires: shown.requires || undefined,
    local: shown.isLocal,
  };
}

async function create(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const fields = await exchange.readFields();
  const request = parseCreate(fields);
  const stream = fields.boolean("stream") ?? true;
  const progress = parts.client.createModel(request, exchange.signal);
  return await answerProgress({ exchange, progress, stream });
}

function parseCreate(fields: Fields): CreateRequest {
  const unsupported = CREATE_UNSUPPORTED.find((name) => fields.has(name));
  if (unsupported !== undefined) {
    throw new RequestError("invalid_request", `"${unsupported}" is not supported`);
  }
  const license = fields.raw("license");
  const messages = parseMessages(fields).map(({ role, content }) => ({ role, content }));
  return defined({
    model: requireTransferModel(fields),
    from: fields.string("from") || undefined,
    files: fields.stringMap("files"),
    adapters: fields.stringMap("adapters"),
    draftFiles: fields.stringMap("draft_files"),
    template: fields.string("template") || undefined,
    system: fields.string("system") || undefined,
    license: typeof license === "string"
      ? [license]
      : fields.strings("license", LICENSES_MAX) ?? [],
    parameters: fields.object("parameters"),
    messages: messages.length === 0 ? undefined : messages,
    quantize: fields.string("quantize") || fields.string("quantization") || undefined,
    draftQuantize: fields.string("draft_quantize") || undefined,
    renderer: fields.string("renderer") || undefined,
    parser: fields.string("parser") || undefined,
    requires: fields.string("requires") || undefined,
  });
}

/** A missing name in these requests is worded as a bad one (contract 1.3). */
function requireTransferModel(fields: Fields): string {
  const model = modelField(fields);
  if (model.trim() !== "") return model;
  throw new RequestError("invalid_model_name", "invalid model name");
}

async function copy(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const fields = await exchange.readFields();
  await parts.client.copyModel({
    source: fields.string("source") ?? "",
    destination: fields.string("destination") ?? "",
  });
  return new Response(null);
}

async function remove(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const fields = await exchange.readFields();
  await parts.client.deleteModel({ model: requireModel(fields) });
  return new Response(null);
}

async function pull(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const fields = await exchange.readFields();
  const model = requireTransferModel(fields);
  const request = { model, insecure: fields.boolean("insecure") ?? false };
  const stream = fields.boolean("stream") ?? true;
  const progress = parts.client.pullModel(request, exchange.signal);
  return await answerProgress({ exchange, progress, stream });
}

async function push(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const fields = await exchange.readFields();
  const model = requireModel(fields);
  const request = { model, insecure: fields.boolean("insecure") ?? false };
  const stream = fields.boolean("stream") ?? true;
  const progress = parts.client.pushModel(request, exchange.signal);
  return await answerProgress({ exchange, progress, stream });
}

async function answerProgress(parts: {
  readonly exchange: Exchange;
  readonly progress: AsyncIterable<TransferProgress>;
  readonly stream: boolean;
}): Promise<Response> {
  const { exchange, progress } = parts;
  if (parts.stream) return await streamLines(exchange, progress);
  let last: TransferProgress = { status: "success" };
  for await (const line of progress) {
    if (line.status.startsWith(WARNING_STATUS)) {
      exchange.warn([line.status.slice(WARNING_STATUS.length)]);
    }
    last = line;
  }
  return jsonAnswer(last);
}

async function findBlob(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const found = await parts.client.findBlob(digestOf(exchange));
  return new Response(null, { status: found === undefined ? 404 : 200 });
}

async function writeBlob(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const digest = digestOf(exchange);
  const outcome = await parts.client.writeBlob(digest, exchange.bodyStream());
  return new Response(null, { status: outcome === "created" ? 201 : 200 });
}

function digestOf(exchange: Exchange) {
  const digest = parseDigest(exchange.params["digest"] ?? "");
  if (digest !== undefined) return digest;
  throw new RequestError("invalid_digest", "invalid digest format");
}
