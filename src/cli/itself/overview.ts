import { errorMessage, formatTable, isEdgeError, printableText } from "../../base/mod.ts";
import {
  isPlainName,
  type JsonObject,
  type NodeClient,
  objectOf,
  objectsOf,
  textOf,
} from "../client/mod.ts";
import { type CliContext, clientFor } from "../context.ts";

/** With the start of the program, half of the 300 ms in which an overview is there. */
const ASK_LIMIT_MS = 150;
/** More fill the line without telling more. */
const MODELS_SHOWN_MAX = 5;
/** Characters of a cluster's id that tell clusters apart for people. */
const ID_CHARS = 8;

/** A command line and what it does. */
type NextCommand = readonly [command: string, does: string];

/** Says whether a node runs here, how its cluster does, which models are there, and what to do next. */
export async function showOverview(context: CliContext): Promise<void> {
  const client = clientFor(context, { signal: context.signalAfter(ASK_LIMIT_MS) });
  const [status, models] = await Promise.allSettled([
    client.ask("GET", "/api/cluster/status"),
    client.ask("GET", "/api/tags"),
  ]);
  const { head, next } = status.status === "fulfilled"
    ? overviewOf(client, { status: status.value, models })
    : overviewWithout(client, status.reason);
  const commands = formatTable(next).map((line) => `  ${line}\n`).join("");
  context.terminal.out.write(`${head}\n\n${commands}\n"odist --help" lists every command.\n`);
}

function overviewOf(client: NodeClient, answers: {
  readonly status: JsonObject;
  readonly models: PromiseSettledResult<JsonObject>;
}) {
  const { status, models } = answers;
  const members = objectsOf(status, "members");
  const well = members.filter((member) => isWell(member));
  const health = (textOf(status, "health") ?? "").replaceAll("_", " ");
  const name = textOf(status, "name") ?? "";
  const names = models.status === "rejected"
    ? undefined
    : objectsOf(models.value, "models").map((model) => textOf(model, "name") ?? "");
  const rows = formatTable([
    ["node", `${name} runs ${placeOf(client)}`],
    [
      "cluster",
      `${textOf(status, "cluster_id")?.slice(0, ID_CHARS)}, ${health}: ` +
      `${well.length} of ${members.length} ${
        members.length === 1 ? "member is" : "members are"
      } well`,
    ],
    ["models", names === undefined ? `unknown: ${reasonOf(models)}` : listOf(names)],
  ]);
  const isWhole = well.length === members.length &&
    objectOf(status, "changes")["possible"] !== false;
  const talk: NextCommand = [
    `odist run ${names?.find(isPlainName) ?? "tiny"}`,
    "Talk to a model",
  ];
  const join: NextCommand = ["odist token create", "Let another machine join"];
  const see: NextCommand = isWhole
    ? ["odist top", "Watch the cluster at work"]
    : ["odist status", "See which member is not well, and what it keeps from working"];
  return { head: rows.join("\n"), next: isWhole ? [talk, join, see] : [see, talk, join] };
}

/** A machine that sleeps is woken when it is needed. */
function isWell(member: JsonObject): boolean {
  return member["health"] === "alive" || member["health"] === "asleep";
}

function listOf(names: readonly string[]): string {
  if (names.length === 0) return "none yet";
  const more = names.length - MODELS_SHOWN_MAX;
  return [...names.slice(0, MODELS_SHOWN_MAX), ...(more > 0 ? [`${more} more`] : [])].join(", ");
}

function reasonOf(outcome: PromiseSettledResult<JsonObject>): string {
  return outcome.status === "rejected" ? printableText(errorMessage(outcome.reason)) : "";
}

function overviewWithout(client: NodeClient, reason: unknown) {
  const serve: NextCommand = ["odist serve", "Start a node on this machine"];
  const doctor: NextCommand = ["odist doctor", "Check this machine and say what to do"];
  const config: NextCommand = ["odist config", "See where the address came from"];
  if (isEdgeError(reason) && reason.code === "node_unreachable") {
    const run: NextCommand = ["odist run tiny", "Talk to a model, once a node runs"];
    return isHere(client)
      ? { head: `No node runs ${placeOf(client)}.`, next: [serve, run, doctor] }
      : { head: `No node answers ${placeOf(client)}.`, next: [config, doctor, serve] };
  }
  const what = reason instanceof DOMException && reason.name === "TimeoutError"
    ? `has not answered within ${ASK_LIMIT_MS} ms`
    : `does not tell of a cluster: ${printableText(errorMessage(reason))}`;
  return { head: `What listens ${placeOf(client)} ${what}`, next: [doctor, config, serve] };
}

function placeOf(client: NodeClient): string {
  return isHere(client) ? `on this machine, at ${client.url}` : `at ${client.url}`;
}

function isHere({ url }: NodeClient): boolean {
  return /^https?:\/\/(localhost|127\.[\d.]+|\[::1\])(:|$)/.test(url);
}
