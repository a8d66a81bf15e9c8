import { printableJson } from "../../base/mod.ts";
import { ProgressView } from "./progress_view.ts";
import type { Terminal } from "./terminal.ts";
import { type JsonObject, numberOf, textOf } from "../client/mod.ts";

/** Shows a stream of progress lines until it ends: as bars, or line by line as JSON. */
export async function showTransfer(
  context: { readonly terminal: Terminal },
  lines: AsyncIterable<JsonObject>,
  options: { readonly json?: boolean; readonly picture: "keep" | "clear" },
): Promise<void> {
  if (options.json) {
    for await (const line of lines) context.terminal.out.write(`${printableJson(line)}\n`);
    return;
  }
  const view = new ProgressView(context.terminal);
  let picture: "keep" | "clear" = "keep";
  try {
    for await (const line of lines) {
      view.show({
        status: textOf(line, "status") ?? "",
        total: numberOf(line, "total"),
        completed: numberOf(line, "completed"),
      });
    }
    picture = options.picture;
  } finally {
    view.end(picture);
  }
}
