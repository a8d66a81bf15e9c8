import { useEffect, useRef, useState } from "preact/hooks";
import { Section, timeText } from "../parts/mod.ts";
import { askLines, origin, status } from "../state/mod.ts";

/** Lines kept in view. */
const LINES_MAX = 500;
const LINES_AT_FIRST = 200;
const LEVELS = ["debug", "info", "warn", "error"] as const;

interface LogLine {
  readonly time?: string;
  readonly level?: string;
  readonly event?: string;
  readonly [field: string]: unknown;
}

/** The asked node's log, as it is written. */
export function Logs() {
  const [lines, setLines] = useState<readonly LogLine[]>([]);
  const [failure, setFailure] = useState("");
  const [wanted, setWanted] = useState("");
  const from = origin.value;
  useEffect(() => {
    const controller = new AbortController();
    void read(
      controller.signal,
      (line) => setLines((before) => [...before, line].slice(-LINES_MAX)),
      setFailure,
    );
    return () => {
      controller.abort();
      setLines([]);
    };
  }, [from]);
  const shown = lines.filter((line) => JSON.stringify(line).includes(wanted));
  return (
    <Section
      title={`Log of ${status.value?.name ?? "the asked node"}`}
      actions={
        <input
          type="search"
          placeholder="Lines with…"
          aria-label="Lines with"
          value={wanted}
          onInput={(event) => setWanted(event.currentTarget.value)}
        />
      }
    >
      {failure === "" ? null : <p class="failure" role="alert">{failure}</p>}
      <Lines lines={shown} />
    </Section>
  );
}

function Lines({ lines }: { readonly lines: readonly LogLine[] }) {
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (frame.current !== null) frame.current.scrollTop = frame.current.scrollHeight;
  }, [lines]);
  return (
    <div class="log panel" ref={frame} tabIndex={0} role="log" aria-label="Lines of the log">
      {lines.map((line, index) => {
        const { time, level = "info", event = "", ...rest } = line;
        const tone = LEVELS.find((one) => one === level) ?? "info";
        return (
          <p key={index} class={tone}>
            <time>{time === undefined ? "" : timeText(time)}</time> <b>{event}</b>{" "}
            {Object.entries(rest).map(([name, value]) =>
              `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`
            ).join(" ")}
          </p>
        );
      })}
    </div>
  );
}

async function read(
  signal: AbortSignal,
  onLine: (line: LogLine) => void,
  onFailure: (text: string) => void,
): Promise<void> {
  try {
    const path = `/api/cluster/logs?lines=${LINES_AT_FIRST}&follow=true`;
    for await (const line of askLines<LogLine>(path, { signal })) onLine(line);
  } catch (error) {
    if (!signal.aborted) onFailure(error instanceof Error ? error.message : String(error));
  }
}
