import type { Edit } from "./mutant.ts";
import { mutant } from "./raft_files.ts";

function inAnswers(file: string, find: string, replace: string): Edit {
  return { file: `src/core/answers/${file}`, find, replace };
}

/**
 * Bugs that a failover can have, each caught by a run of the simulator or a named test. Their origin is the rule that they
 * break.
 */
export const ANSWERS_MUTANTS = [
  mutant(
    "journal-not-handed-on",
    { origin: "no byte repeated", kind: "S", does: "a new runner begins the answer anew" },
    inAnswers("answer.ts", "prompt, emittedTokens } }];", "prompt, emittedTokens: [] } }];"),
  ),
  mutant(
    "prompt-tokens-not-handed-on",
    { origin: "no byte lost", kind: "S", does: "a new runner tokenizes the prompt again" },
    inAnswers(
      "answer.ts",
      "const prompt = promptTokens.length > 0",
      "const prompt = promptTokens.length < 0",
    ),
  ),
  mutant(
    "last-token-not-in-the-journal",
    { origin: "no byte lost", kind: "S", does: "goes on one token too early" },
    inAnswers(
      "answer.ts",
      "prompt, emittedTokens } }];",
      "prompt, emittedTokens: emittedTokens.slice(0, -1) } }];",
    ),
  ),
  mutant(
    "finish-drops-what-was-held-back",
    { origin: "no byte lost", kind: "S", does: "the end shows nothing more" },
    inAnswers(
      "answer.ts",
      "this.#show(this.#stream.finish(fact.reason), [])",
      "(this.#stream.finish(fact.reason), this.#show([], []))",
    ),
  ),
  mutant(
    "pause-taken-for-the-end",
    { origin: "no byte lost", kind: "S", does: "an answer ends where its content begins" },
    inAnswers("answer.ts", 'if (end === "paused") return', 'if (end === "cancelled") return'),
  ),
  mutant(
    "thinking-not-in-the-new-prompt",
    { origin: "no byte lost", kind: "S", does: "the content is written without the thinking" },
    inAnswers("answer.ts", "text: prompt.text + thinking", "text: prompt.text"),
  ),
  mutant(
    "grammar-forgotten-at-content",
    { origin: "no byte lost", kind: "S", does: "the content is not bound" },
    inAnswers("answer.ts", "grammar: this.#wish.grammarAtContent ?? null", "grammar: null"),
  ),
  mutant(
    "run-not-left-at-the-end",
    { origin: "no slot double-booked", kind: "L", does: "the slot of a whole answer stays held" },
    inAnswers(
      "answer.ts",
      'return [show, { kind: "leave_run" }, { kind: "end", report }];',
      'return [show, { kind: "end", report }];',
    ),
  ),
  mutant(
    "run-not-left-at-content",
    { origin: "no slot double-booked", kind: "S", does: "an answer holds two slots" },
    inAnswers(
      "answer.ts",
      'return [show, { kind: "leave_run" }, this.#restartAtContent()];',
      "return [show, this.#restartAtContent()];",
    ),
  ),
  mutant(
    "run-not-left-for-a-shorter-prompt",
    { origin: "no slot double-booked", kind: "S", does: "an answer holds two slots" },
    inAnswers(
      "answer.ts",
      'return [{ kind: "leave_run" }, this.#acquire()];',
      "return [this.#acquire()];",
    ),
  ),
  mutant(
    "run-not-left-by-a-failure",
    { origin: "no slot double-booked", kind: "L", does: "the slot of a failed answer stays held" },
    inAnswers(
      "answer.ts",
      "const leave: AnswerOrder[] = this.#isHolding ?",
      "const leave: AnswerOrder[] = !this.#isHolding ?",
    ),
  ),
  mutant(
    "run-not-left-by-a-reader-that-left",
    { origin: "no slot double-booked", kind: "L", does: "the slot of nobody's answer stays held" },
    inAnswers("answer.ts", 'return isHolding ? [{ kind: "leave_run" }] : [];', "return [];"),
  ),
  mutant(
    "shortening-holds-no-slot",
    { origin: "no slot double-booked", kind: "L", does: "forgets the slot while it counts tokens" },
    inAnswers("answer.ts", ' || this.#phase === "shortening";', ";"),
  ),
  mutant(
    "starting-holds-no-slot",
    {
      origin: "every admitted request ends",
      kind: "L",
      does: "a runner lost at its start ends the answer",
    },
    inAnswers("answer.ts", 'return this.#phase === "starting" || ', "return "),
  ),
  mutant(
    "loss-not-reported",
    {
      origin: "no slot double-booked",
      kind: "L",
      does: "the slot of a dead runner is not given up",
    },
    inAnswers(
      "answer.ts",
      'if (decision === "resume") return [report, this.#acquire()];',
      'if (decision === "resume") return [this.#acquire()];',
    ),
  ),
  mutant(
    "lost-runner-ends-the-answer",
    { origin: "every admitted request ends", kind: "L", does: "no failover at all" },
    inAnswers("answer.ts", 'if (code === "runner_lost" && isHolding) return this.#lost();', ""),
  ),
  mutant(
    "never-gives-up",
    { origin: "a crash loop ends", kind: "L", does: "one prompt kills runners for ever" },
    inAnswers(
      "answer.ts",
      "this.#fruitlessAttempts >= FRUITLESS_ATTEMPTS_MAX",
      "this.#fruitlessAttempts > 1_000_000",
    ),
  ),
  mutant(
    "gives-up-too-early",
    { origin: "every admitted request ends", kind: "L", does: "two losses end an answer" },
    inAnswers(
      "answer.ts",
      "this.#fruitlessAttempts >= FRUITLESS",
      "this.#fruitlessAttempts + 1 >= FRUITLESS",
    ),
  ),
  mutant(
    "progress-forgives-nothing",
    {
      origin: "every admitted request ends",
      kind: "L",
      does: "a long answer dies of its third loss",
    },
    inAnswers("answer.ts", "this.#fruitlessAttempts = 0;\n  }", "}"),
  ),
  mutant(
    "nothing-counts-as-progress",
    { origin: "a crash loop ends", kind: "L", does: "an event without tokens forgives losses" },
    inAnswers("answer.ts", 'if (tokens.length === 0) return [{ kind: "read_on" }];', ""),
  ),
  mutant(
    "lost-node-not-avoided",
    { origin: "no way back", kind: "L", does: "goes straight back to the node that lost it" },
    inAnswers("answer.ts", "this.#avoid = [...others, nodeId]", "this.#avoid = [...others]"),
  ),
  mutant(
    "only-the-last-loss-is-avoided",
    { origin: "no way back", kind: "L", does: "goes to and fro between two losing nodes" },
    inAnswers("answer.ts", ".slice(-AVOIDED_NODES_MAX)", ".slice(-1)"),
  ),
  mutant(
    "avoided-nodes-without-a-limit",
    { origin: "a named limit", kind: "L", does: "remembers every node it ever lost" },
    inAnswers("answer.ts", ".slice(-AVOIDED_NODES_MAX)", ""),
  ),
  mutant(
    "loss-is-fresh",
    {
      origin: "every admitted request ends",
      kind: "L",
      does: "an admitted request is refused for a full queue",
    },
    inAnswers(
      "answer.ts",
      'this.#standing = "resumed";\n    this.#fruitlessAttempts++;',
      "this.#fruitlessAttempts++;",
    ),
  ),
  mutant(
    "restart-is-fresh",
    {
      origin: "every admitted request ends",
      kind: "L",
      does: "content is refused for a full queue after its thinking",
    },
    inAnswers(
      "answer.ts",
      'restarts(): void {\n    this.#standing = "resumed";',
      "restarts(): void {",
    ),
  ),
  mutant(
    "wrong-node-blamed",
    { origin: "no way back", kind: "L", does: "avoids who served first, not who was lost" },
    inAnswers("answer.ts", "this.#servedBy = fact.nodeId;", "this.#servedBy ??= fact.nodeId;"),
  ),
  mutant(
    "shortens-for-ever",
    {
      origin: "every admitted request ends",
      kind: "L",
      does: "shortens a prompt that is short already",
    },
    inAnswers("answer.ts", 'if (!this.#mayShorten) return this.#fail("prompt_too_long");', ""),
  ),
  mutant(
    "shorter-prompt-not-taken",
    { origin: "every admitted request ends", kind: "L", does: "asks with the long prompt again" },
    inAnswers("answer.ts", "this.#sequence = { ...this.#sequence, ...shorter };", ""),
  ),
  mutant(
    "refused-node-asked-again",
    { origin: "each node once", kind: "L", does: "asks the node that refused for ever" },
    inAnswers("slot_search.ts", "this.#refused.push({ nodeId, reason: code });", ""),
  ),
  mutant(
    "first-refusal-is-final",
    { origin: "every admitted request ends", kind: "L", does: "asks one node only" },
    inAnswers(
      "slot_search.ts",
      "if (code === undefined || !ELSEWHERE.has(code))",
      "if (code === undefined || ELSEWHERE.has(code))",
    ),
  ),
  mutant(
    "lost-peer-is-final",
    {
      origin: "every admitted request ends",
      kind: "L",
      does: "a peer that dies before it grants ends the search",
    },
    inAnswers("slot_search.ts", '  "peer_lost",\n', ""),
  ),
  mutant(
    "avoid-not-asked-for",
    { origin: "no way back", kind: "L", does: "searches as if nothing had been lost" },
    inAnswers(
      "slot_search.ts",
      "chooseRoute({ ...this.#request, refused",
      "chooseRoute({ ...this.#request, avoid: [], refused",
    ),
  ),
  mutant(
    "impatient-with-the-only-holder",
    { origin: "patience", kind: "L", does: "takes a suspected node for a replacement" },
    inAnswers("slot_search.ts", 'rank === "sound"', 'rank !== "drained"'),
  ),
  mutant(
    "patient-where-another-could-go-on",
    { origin: "patience", kind: "L", does: "waits ten seconds beside an idle node" },
    inAnswers("slot_search.ts", 'runnersUp.some(({ rank }) => rank === "sound")', "false"),
  ),
  mutant(
    "searches-without-a-limit",
    { origin: "a named limit", kind: "L", does: "asks every node of a large cluster" },
    inAnswers(
      "slot_search.ts",
      "this.#refused.length >= SEARCH_ATTEMPTS_MAX",
      "this.#refused.length >= 1_000",
    ),
  ),
  mutant(
    "tells-the-first-refusal",
    {
      origin: "what helps most",
      kind: "L",
      does: "tells of a lost node where another is only full",
    },
    inAnswers("slot_search.ts", "COME_BACK.has(reason)", 'reason === "stopping"'),
  ),
  mutant(
    "doubt-lasts-for-ever",
    {
      origin: "doubt for a while",
      kind: "L",
      does: "a node that was lost once is never sound again",
    },
    inAnswers("peer_beliefs.ts", "nowMs + forMs);", "Infinity);"),
  ),
  mutant(
    "no-doubt-after-a-loss",
    {
      origin: "doubt for a while",
      kind: "L",
      does: "the next request goes to the node that was just lost",
    },
    inAnswers(
      "peer_beliefs.ts",
      'isDoubted && holder.health === "alive" ? "suspect"',
      'isDoubted && holder.health === "alive" ? "alive"',
    ),
  ),
  mutant(
    "sent-requests-not-forgotten",
    { origin: "sent since the report", kind: "L", does: "a node looks ever busier" },
    inAnswers("peer_beliefs.ts", "sent.delete(entry);", ""),
  ),
  mutant(
    "cold-runner-taken-for-warm",
    { origin: "prefixes", kind: "L", does: "expects a prompt in a runner that was started since" },
    inAnswers(
      "peer_beliefs.ts",
      'const sentChars = candidate.load?.state === "loaded"',
      "const sentChars = true",
    ),
  ),
] as const;
