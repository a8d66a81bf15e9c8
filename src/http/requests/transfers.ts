import type { ArrivingModel } from "../../ports/mod.ts";
import type { HttpParts } from "../exchange.ts";
import { type Route, routesFor } from "../routes.ts";
import { jsonAnswer } from "../wire/mod.ts";

/** What the other nodes said is told again for so long: pages ask once a second, each. */
const FRESH_MS = 900;

/** A model on its way to one node. */
interface TransferRow extends ArrivingModel {
  readonly node: string;
}

/** Models on their way to this node, in the form in which other nodes are told of them. */
export function ownTransfers({ client, config }: HttpParts): readonly TransferRow[] {
  return client.arrivingModels().map((row) => ({ ...row, node: config.nodeName }));
}

/** `GET /api/cluster/transfers`: what is pulled by any node, or copied to it, and how much of it is there. */
export function transferRoutes(parts: HttpParts): readonly Route[] {
  const { elsewhere, clock } = parts;
  let heard = { atMs: -Infinity, rows: Promise.resolve<readonly TransferRow[]>([]) };
  const others = () => {
    const nowMs = clock.monotonicMs();
    if (elsewhere !== undefined && nowMs - heard.atMs >= FRESH_MS) {
      const rows = elsewhere.report({ about: "transfers" })
        .then((told) => told.flat().flatMap(transferOf));
      heard = { atMs: nowMs, rows };
    }
    return heard.rows;
  };
  return routesFor("use", {
    "GET /api/cluster/transfers": async () => {
      const transfers = [...ownTransfers(parts), ...await others()].sort(byModel);
      return jsonAnswer({ transfers });
    },
  });
}

/** Nothing for what makes no sense: it was sent by another node. */
function transferOf(told: Readonly<Record<string, unknown>>): readonly TransferRow[] {
  const { node, model, total, completed } = told;
  const areTexts = typeof node === "string" && typeof model === "string";
  if (!areTexts || !isBytes(total) || !isBytes(completed) || completed > total) return [];
  return [{ node, model, total, completed }];
}

function isBytes(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function byModel(one: TransferRow, other: TransferRow): number {
  const [a, b] = [one, other].map(({ model, node }) => `${model} ${node}`) as [string, string];
  return a < b ? -1 : a > b ? 1 : 0;
}
