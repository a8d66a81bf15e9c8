/** The JSON lines of a stream. */
export function parseLines(text: string): Record<string, unknown>[] {
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

/** The JSON lines of an answer as they come, cut where the network cut them. */
export async function* streamedLines(
  response: Pick<Response, "body">,
): AsyncGenerator<Record<string, unknown>> {
  let rest = "";
  const body = response.body ?? new ReadableStream();
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
}
