import { printableJson } from "../../base/mod.ts";

/** What a client is told of the node. */
export interface LaunchTarget {
  /** Without a slash at its end. */
  readonly url: string;
  readonly model: string;
  /** What stands where a client insists on a key. */
  readonly key: string;
}

/** How a client is started: what it needs is handed over, and no file of its own is touched. */
interface ClientStart {
  readonly env: Readonly<Record<string, string>>;
  /** Before those that the user gave. */
  readonly args: readonly string[];
}

/** One client that can be started against a node. */
export interface LaunchClient {
  readonly name: string;
  /** The program on the PATH. */
  readonly program: string;
  /** How to get it, in one line. */
  readonly install: string;
  /** Tokens of a context window below which it forgets what it was asked. */
  readonly contextTokensWanted: number;
  start(target: LaunchTarget): ClientStart;
}

/** Tools and files of a coding agent fill less than this at its first step already. */
const AGENT_CONTEXT_TOKENS = 32_768;

/** In the order of the help. */
export const LAUNCH_CLIENTS: readonly LaunchClient[] = [
  {
    name: "claude",
    program: "claude",
    install: "npm install -g @anthropic-ai/claude-code",
    contextTokensWanted: AGENT_CONTEXT_TOKENS,
    start: ({ url, model, key }) => ({
      env: {
        ANTHROPIC_BASE_URL: url,
        ANTHROPIC_AUTH_TOKEN: key,
        ANTHROPIC_MODEL: model,
        // The small model that it uses besides has to be one that is there.
        ANTHROPIC_DEFAULT_HAIKU_MODEL: model,
        ANTHROPIC_DEFAULT_SONNET_MODEL: model,
        ANTHROPIC_DEFAULT_OPUS_MODEL: model,
      },
      args: [],
    }),
  },
  {
    name: "codex",
    program: "codex",
    install: "npm install -g @openai/codex",
    contextTokensWanted: AGENT_CONTEXT_TOKENS,
    start: ({ url, model, key }) => ({
      env: { ODIST_KEY: key },
      args: [
        ...["-c", 'model_provider="odist"'],
        ...["-c", 'model_providers.odist.name="odist"'],
        ...["-c", `model_providers.odist.base_url=${printableJson(`${url}/v1`)}`],
        ...["-c", 'model_providers.odist.env_key="ODIST_KEY"'],
        ...["-c", 'model_providers.odist.wire_api="responses"'],
        ...["-m", model],
      ],
    }),
  },
  {
    name: "opencode",
    program: "opencode",
    install: "npm install -g opencode-ai",
    contextTokensWanted: AGENT_CONTEXT_TOKENS,
    start: ({ url, model, key }) => ({
      env: {
        OPENCODE_CONFIG_CONTENT: printableJson({
          model: `odist/${model}`,
          provider: {
            odist: {
              npm: "@ai-sdk/openai-compatible",
              name: "odist",
              options: { baseURL: `${url}/v1`, apiKey: key },
              models: { [model]: {} },
            },
          },
        }),
      },
      args: [],
    }),
  },
  {
    name: "aider",
    program: "aider",
    install: "pip install aider-chat",
    contextTokensWanted: 8_192,
    start: ({ url, model, key }) => ({
      env: { OPENAI_API_BASE: `${url}/v1`, OPENAI_API_KEY: key },
      args: ["--model", `openai/${model}`],
    }),
  },
  {
    name: "goose",
    program: "goose",
    install: "see the download page of its makers",
    contextTokensWanted: AGENT_CONTEXT_TOKENS,
    start: ({ url, model, key }) => ({
      env: {
        GOOSE_PROVIDER: "openai",
        GOOSE_MODEL: model,
        OPENAI_HOST: url,
        OPENAI_API_KEY: key,
      },
      args: [],
    }),
  },
];
