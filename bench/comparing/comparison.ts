/**
 * The figures of the engine bench: what was measured, and what it comes to.
 *
 * @module
 */
import type { Completion } from "../measuring/load.ts";
import { fixed, median, percentile, sum } from "../measuring/stats.ts";

/** One server's answers in one round. */
export interface Round {
  readonly server: string;
  readonly completions: readonly Completion[];
  /** From the first request to the end of the last answer. */
  readonly wallMs: number;
}

/** How many ask at a time, and what their prompts have in common. */
export interface LevelShape {
  readonly streams: number;
  /** Words that all prompts of a round begin with. */
  readonly sharedWords: number;
}

/** All rounds of one shape. */
export interface Level extends LevelShape {
  readonly rounds: readonly Round[];
}

/** One server at one level. */
export interface LevelFigures extends LevelShape {
  readonly server: string;
  readonly tokensPerSecond: number;
  readonly ttftMsP50: number;
  readonly ttftMsP90: number;
  readonly answers: number;
  readonly answerTokens: number;
}

/** odist over the other server, at one level; above 1 means more tokens or a longer wait. */
export interface LevelRatios extends LevelShape {
  readonly tokensPerSecond: number;
  /** Ratio of each pair of neighbouring rounds, smallest and largest: how much the machine wavered. */
  readonly tokensPerSecondMin: number;
  readonly tokensPerSecondMax: number;
  readonly ttftP50: number;
  readonly ttftP90: number;
  /** Answers with the same text, of those both gave. */
  readonly equalAnswers: number;
  readonly comparedAnswers: number;
}

/** Everything about one server at one level. */
export function figuresOf(level: Level, server: string): LevelFigures {
  const rounds = level.rounds.filter((round) => round.server === server);
  const completions = rounds.flatMap((round) => round.completions);
  const answerTokens = sum(completions.map((completion) => completion.answerTokens));
  const ttfts = completions.map((completion) => completion.ttftMs);
  return {
    server,
    streams: level.streams,
    sharedWords: level.sharedWords,
    tokensPerSecond: answerTokens / sum(rounds.map((round) => round.wallMs)) * 1_000,
    ttftMsP50: median(ttfts),
    ttftMsP90: percentile(ttfts, 0.9),
    answers: completions.length,
    answerTokens,
  };
}

/** Compares `server` with `other`; rounds of the two are paired in the order they ran. */
export function ratiosOf(
  level: Level,
  servers: { readonly server: string; readonly other: string },
): LevelRatios {
  const own = figuresOf(level, servers.server);
  const other = figuresOf(level, servers.other);
  const roundsOf = (name: string) => level.rounds.filter((round) => round.server === name);
  const pairs = roundsOf(servers.server).flatMap((round, index) => {
    const paired = roundsOf(servers.other)[index];
    return paired === undefined ? [] : [[round, paired] as const];
  });
  const ratios = pairs.map(([a, b]) => speedOf(a) / speedOf(b));
  const texts = pairs.flatMap(([a, b]) =>
    a.completions.map((completion, index) => completion.text === b.completions[index]?.text)
  );
  return {
    streams: level.streams,
    sharedWords: level.sharedWords,
    tokensPerSecond: own.tokensPerSecond / other.tokensPerSecond,
    tokensPerSecondMin: Math.min(...ratios),
    tokensPerSecondMax: Math.max(...ratios),
    ttftP50: own.ttftMsP50 / other.ttftMsP50,
    ttftP90: own.ttftMsP90 / other.ttftMsP90,
    equalAnswers: texts.filter(Boolean).length,
    comparedAnswers: texts.length,
  };
}

function speedOf(round: Round): number {
  return sum(round.completions.map((completion) => completion.answerTokens)) / round.wallMs;
}

/** A level in a few words. */
export function nameOf({ streams, sharedWords }: LevelShape): string {
  return sharedWords === 0 ? `${streams}` : `${streams}, ${sharedWords} words shared`;
}

/** A table per server and one of ratios, as Markdown. */
export function markdownReport(
  figures: readonly LevelFigures[],
  ratios: readonly LevelRatios[],
  conditions: Readonly<Record<string, string | number>>,
): string {
  const lines = ["# Engine: odist and llama-server", ""];
  lines.push("| Server | Streams | Tokens/s | TTFT p50 | TTFT p90 | Answers | Tokens |");
  lines.push("|---|---|---|---|---|---|---|");
  for (const row of figures) {
    lines.push(
      `| ${row.server} | ${nameOf(row)} | ${fixed(row.tokensPerSecond, 1)} | ` +
        `${fixed(row.ttftMsP50, 0)} ms | ${
          fixed(row.ttftMsP90, 0)
        } ms | ${row.answers} | ${row.answerTokens} |`,
    );
  }
  if (ratios.length > 0) {
    lines.push("", "odist ÷ llama-server:", "");
    lines.push("| Streams | Tokens/s | per round | TTFT p50 | TTFT p90 | Equal answers |");
    lines.push("|---|---|---|---|---|---|");
  }
  for (const row of ratios) {
    lines.push(
      `| ${nameOf(row)} | ${fixed(row.tokensPerSecond, 2)} | ` +
        `${fixed(row.tokensPerSecondMin, 2)}–${fixed(row.tokensPerSecondMax, 2)} | ${
          fixed(row.ttftP50, 2)
        } | ` +
        `${fixed(row.ttftP90, 2)} | ${row.equalAnswers} of ${row.comparedAnswers} |`,
    );
  }
  lines.push("", "Conditions:", "");
  for (const [name, value] of Object.entries(conditions)) lines.push(`- ${name}: ${value}`);
  return lines.join("\n") + "\n";
}
