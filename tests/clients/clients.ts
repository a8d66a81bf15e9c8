/** What one program of `programs/` needs, and how it is run. */
export interface Client {
  readonly name: string;
  readonly program: string;
  /** An agent runs in Node, cut off from the network; only when it is asked for, as it takes hundreds of megabytes. */
  readonly runtime: "deno" | "python" | "agent";
  /** Packages by their exact versions. */
  readonly packages: Readonly<Record<string, string>>;
}

export const CLIENTS: readonly Client[] = [
  {
    name: "ollama (js)",
    program: "ollama.mjs",
    runtime: "deno",
    packages: { ollama: "0.6.4" },
  },
  {
    name: "openai (js)",
    program: "openai.mjs",
    runtime: "deno",
    packages: { openai: "7.57.0" },
  },
  {
    name: "anthropic (js)",
    program: "anthropic.mjs",
    runtime: "deno",
    packages: { "@anthropic-ai/sdk": "1.14.0" },
  },
  {
    name: "ai sdk (js)",
    program: "ai_sdk.mjs",
    runtime: "deno",
    packages: {
      ai: "7.0.173",
      "@ai-sdk/anthropic": "4.0.105",
      "@ai-sdk/openai": "4.0.118",
      "@ai-sdk/openai-compatible": "3.0.92",
      "ollama-ai-provider-v2": "4.0.1",
      zod: "4.6.7",
    },
  },
  {
    name: "langchain (js)",
    program: "langchain.mjs",
    runtime: "deno",
    packages: {
      "@langchain/anthropic": "1.5.11",
      "@langchain/core": "1.4.0",
      "@langchain/ollama": "1.3.0",
      "@langchain/openai": "1.6.0",
    },
  },
  {
    name: "ollama (py)",
    program: "ollama_py.py",
    runtime: "python",
    packages: { ollama: "0.6.3" },
  },
  {
    name: "openai (py)",
    program: "openai_py.py",
    runtime: "python",
    packages: { openai: "3.57.0" },
  },
  {
    name: "anthropic (py)",
    program: "anthropic_py.py",
    runtime: "python",
    packages: { anthropic: "2.14.0" },
  },
  {
    name: "claude-code",
    program: "claude-code",
    runtime: "agent",
    packages: { "@anthropic-ai/claude-code": "2.1.332" },
  },
  {
    name: "codex",
    program: "codex",
    runtime: "agent",
    packages: { "@openai/codex": "0.171.0" },
  },
];
