// Lets one agent of the terminal take a turn with a tool call, against a scripted model behind the real HTTP API.
// Started by `run.ts`, where nothing outside this machine can be reached: agents.ts claude-code|codex FOLDER
import assert from "node:assert/strict";
import { join } from "node:path";
import type { HttpListener } from "../../src/http/mod.ts";
import { listenTo, originOf } from "../harness/served_app.ts";
import type { Answer, ChatRequest } from "../../src/ports/mod.ts";
import type { Tool } from "../../src/protocol/mod.ts";
import { appUnderTest } from "../harness/http_app.ts";
import { streamOf, textChunks } from "../harness/scripted_client.ts";

const AGENT_TIMEOUT_MS = 120_000;
const BODY_BYTES_MAX = 8 * 1024 * 1024;
/** What the tool is to print, and the agent to repeat. */
const PROOF = "the-tool-was-run";
/** The tool that runs commands, by its name in each agent, and how it is called. */
const SHELLS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  Bash: { command: `echo ${PROOF}`, description: "say it" },
  exec_command: { cmd: `echo ${PROOF}` },
  shell: { command: ["bash", "-lc", `echo ${PROOF}`] },
};

interface Agent {
  readonly entry: string;
  readonly args: readonly string[];
  /** Its environment, and what it finds in its home folder. */
  prepare(origin: string, home: string): Promise<Readonly<Record<string, string>>>;
}

const AGENTS: Readonly<Record<string, Agent>> = {
  "claude-code": {
    entry: "node_modules/@anthropic-ai/claude-code/cli-wrapper.cjs",
    args: ["-p", "Say it with the shell.", "--allowedTools", "Bash"],
    prepare: (origin) =>
      Promise.resolve({
        ANTHROPIC_BASE_URL: origin,
        ANTHROPIC_API_KEY: "none",
        ANTHROPIC_MODEL: "tiny",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
        DISABLE_AUTOUPDATER: "1",
      }),
  },
  codex: {
    entry: "node_modules/@openai/codex/bin/codex.js",
    args: [
      ...["exec", "--skip-git-repo-check", "--sandbox", "danger-full-access"],
      "Say it with the shell.",
    ],
    prepare: async (origin, home) => {
      await Deno.mkdir(join(home, ".codex"));
      const lines = [
        'model = "tiny"',
        'model_provider = "odist"',
        "[model_providers.odist]",
        'name = "odist"',
        `base_url = "${origin}/v1"`,
        'wire_api = "responses"',
      ];
      await Deno.writeTextFile(join(home, ".codex", "config.toml"), `${lines.join("\n")}\n`);
      return {};
    },
  },
};

/** Calls the shell first, then repeats what it said. */
function answerOf({ messages, tools }: ChatRequest): Answer {
  const last = messages.at(-1);
  if (last?.role === "tool") return streamOf(textChunks(["The tool said: ", last.content]));
  const shell = tools.find((tool: Tool) => Object.hasOwn(SHELLS, tool.function.name));
  if (shell === undefined) return streamOf(textChunks(["fine"]));
  const { name } = shell.function;
  const call = { id: "call_1", name, arguments: SHELLS[name] ?? {} };
  return streamOf([{ kind: "text", content: "", toolCalls: [call] }]);
}

function serve(): Promise<HttpListener> {
  return listenTo(appUnderTest({
    config: { bodyBytesMax: BODY_BYTES_MAX },
    script: { chat: (request) => Promise.resolve(answerOf(request)) },
  }));
}

/** A turn in a home folder of its own, with none of this process's environment. */
async function turn(agent: Agent, folder: string): Promise<void> {
  const listener = await serve();
  const home = await Deno.makeTempDir({ prefix: "odist-agent-" });
  try {
    const origin = originOf(listener);
    const env = await agent.prepare(origin, home);
    const { stdout, stderr } = await new Deno.Command("node", {
      args: [join(folder, agent.entry), ...agent.args],
      clearEnv: true,
      env: { HOME: home, PATH: Deno.env.get("PATH") ?? "", TERM: "dumb", ...env },
      cwd: home,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.timeout(AGENT_TIMEOUT_MS),
    }).output();
    const decoder = new TextDecoder();
    const said = decoder.decode(stdout);
    assert.ok(
      said.includes("The tool said: ") && said.includes(PROOF),
      said + decoder.decode(stderr),
    );
  } finally {
    await listener.shutdown();
    await Deno.remove(home, { recursive: true });
  }
}

const [name = "", folder = ""] = Deno.args;
const agent = AGENTS[name];
assert.ok(agent !== undefined, `no such agent: ${name}`);
const call = "a turn with a tool call";
try {
  await turn(agent, folder);
  console.log(JSON.stringify({ call, kind: "tools", ok: true }));
} catch (error) {
  console.log(
    JSON.stringify({ call, kind: "tools", ok: false, detail: String(error).slice(-600) }),
  );
}
Deno.exit(0);
