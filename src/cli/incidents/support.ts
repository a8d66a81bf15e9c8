import type { Command } from "commander";
import { errorMessage, isEdgeError, printableJson, printableText } from "../../base/mod.ts";
import { describeConfig, type LoadedConfig } from "../../config/mod.ts";
import type { NodeClient } from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions, configFor } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { printJson } from "../terminal/mod.ts";
import { writeWhole } from "../whole_file.ts";

/** Lines of all nodes together. */
const LOG_LINES = 2_000;
const INCIDENT_SECONDS = 600;
const WITHHELD = "[withheld]";
/** Variables whose values are nobody else's business, wherever they turn up. */
const SECRET_VARIABLE = /KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL/i;
/** A shorter value stands in texts by chance. */
const SECRET_CHARS_MIN = 6;
/** What comes before the host of an address. */
const URL_CREDENTIALS = /(:\/\/)[^/\s"@]+@/g;

export function define(command: Command, context: CliContext): void {
  command.description(
    "Write versions, settings, status, logs, metrics and an incident file to one file, without secrets, prompts and answers",
  );
  command.argument("<FILE>", "File to write; it must not be there yet");
  addClientOptions(command);
  addExamples(command, "odist support fault.json");
  command.action(async (path: string, options: ClientOptions) => {
    const client = clientFor(context, options);
    const loaded = configFor(context, { flags: {} });
    const bundle = {
      version: { odist: context.version, ...Deno.version, ...Deno.build },
      config: { options: describeConfig(loaded), warnings: loaded.warnings },
      ...await askNode(client),
    };
    const secrets = secretsOf(context, options, loaded);
    const text = withoutSecrets(`${printableJson(bundle)}\n`, secrets);
    const bytes = await writeWhole(path, new Blob([text]).stream());
    if (options.json) return printJson(context, { file: path, bytes });
    context.terminal.out.write(
      `wrote ${bytes} bytes to ${path}: it names models, members and addresses, so look through it before you send it\n`,
    );
  });
}

/** What the node says; of each that it doesn't, why. */
async function askNode(client: NodeClient): Promise<Readonly<Record<string, unknown>>> {
  const incident = `/api/cluster/incident?seconds=${INCIDENT_SECONDS}&texts=false`;
  const asked = {
    node: client.ask("GET", "/api/version"),
    status: client.ask("GET", "/api/cluster/status"),
    requests: client.ask("GET", "/api/cluster/requests"),
    logs: client.ask("GET", `/api/cluster/logs/all?lines=${LOG_LINES}`),
    metrics: bytesOf(client, "/metrics").then((bytes) => new TextDecoder().decode(bytes)),
    incident_base64: bytesOf(client, incident).then((bytes) => bytes.toBase64()),
  };
  const told = Object.entries(asked).map(async ([name, answer]) => [
    name,
    await answer.catch((error) => {
      if (!isEdgeError(error)) throw error;
      return { not_told: printableText(errorMessage(error)) };
    }),
  ]);
  return Object.fromEntries(await Promise.all(told));
}

async function bytesOf(client: NodeClient, path: string): Promise<Uint8Array> {
  return await new Response(await client.download(path)).bytes();
}

/** Values that are secret by the name of their option or variable. */
function secretsOf(
  { env }: CliContext,
  { key }: ClientOptions,
  { config: { cli, cluster } }: LoadedConfig,
): readonly string[] {
  const named = Object.entries(env).filter(([name]) => SECRET_VARIABLE.test(name));
  return [...named.map(([, value]) => value ?? ""), key ?? "", cli.apiKey, cluster.joinToken];
}

function withoutSecrets(text: string, secrets: readonly string[]): string {
  const known = secrets.filter(({ length }) => length >= SECRET_CHARS_MIN);
  return known
    .sort((one, other) => other.length - one.length)
    // As it stands within a JSON text.
    .reduce((rest, secret) => rest.replaceAll(printableJson(secret).slice(1, -1), WITHHELD), text)
    .replaceAll(URL_CREDENTIALS, `$1${WITHHELD}@`);
}
