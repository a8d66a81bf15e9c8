/** What one program of `programs/` needs, and how it is run. */
export interface Client {
  readonly name: string;
  readonly program: string;
  /** An agent runs in Node, cut off from the network. */
  readonly runtime: "deno" | "python" | "java" | "rust" | "go" | "go-program" | "agent";
  /** Runs only when it, or the group, is asked for by name: it takes hundreds of megabytes (nightly: gigabytes), or minutes. */
  readonly group?: "agents" | "builds" | "nightly";
  /** Packages by their exact versions; of Rust's the features follow, each after a `+`. */
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
    name: "langchain (py)",
    program: "langchain_py.py",
    runtime: "python",
    packages: {
      "langchain-core": "1.8.1",
      "langchain-ollama": "1.1.0",
      "langchain-openai": "1.7.4",
      "langchain-anthropic": "1.7.10",
    },
  },
  {
    name: "llama-index (py)",
    program: "llama_index_py.py",
    runtime: "python",
    packages: {
      "llama-index-core": "0.14.25",
      "llama-index-llms-ollama": "0.11.0",
      "llama-index-embeddings-ollama": "0.10.0",
      "llama-index-llms-openai-like": "0.8.1",
    },
  },
  {
    name: "litellm (py)",
    program: "litellm_py.py",
    runtime: "python",
    packages: { litellm: "1.110.2" },
  },
  {
    name: "instructor (py)",
    program: "instructor_py.py",
    runtime: "python",
    packages: { instructor: "1.17.0" },
  },
  {
    name: "pydantic-ai (py)",
    program: "pydantic_ai_py.py",
    runtime: "python",
    packages: { "pydantic-ai-slim[openai,anthropic]": "2.68.0" },
  },
  {
    name: "langchain4j (java)",
    program: "Langchain4j.java",
    runtime: "java",
    packages: {
      "dev.langchain4j:langchain4j": "1.18.1",
      "dev.langchain4j:langchain4j-ollama": "1.18.1",
      "dev.langchain4j:langchain4j-open-ai": "1.18.1",
    },
  },
  {
    name: "spring ai (java)",
    program: "SpringAi.java",
    runtime: "java",
    packages: {
      "org.springframework.ai:spring-ai-client-chat": "1.1.2",
      "org.springframework.ai:spring-ai-ollama": "1.1.2",
      "org.springframework.ai:spring-ai-openai": "1.1.2",
    },
  },
  {
    name: "ollama-rs (rust)",
    program: "ollama_rs.rs",
    runtime: "rust",
    packages: {
      "ollama-rs": "0.3.6+stream",
      "futures-util": "0.3.31",
      "serde_json": "1.0.145",
      "tokio": "1.48.0+macros+rt",
    },
  },
  {
    name: "ollama api (go)",
    program: "ollama_api.go",
    runtime: "go",
    packages: { "github.com/ollama/ollama": "v0.17.4" },
  },
  {
    name: "ollama cli (go)",
    program: "ollama_cli.mjs",
    runtime: "go-program",
    group: "builds",
    packages: {
      "github.com/ollama/ollama": "v0.17.4",
      "github.com/gen2brain/malgo": "v0.11.24",
    },
  },
  {
    name: "open webui (py)",
    program: "open_webui.py",
    runtime: "python",
    group: "nightly",
    packages: { "open-webui": "0.12.4" },
  },
  {
    name: "claude-code",
    program: "claude-code",
    runtime: "agent",
    group: "agents",
    packages: { "@anthropic-ai/claude-code": "2.1.332" },
  },
  {
    name: "codex",
    program: "codex",
    runtime: "agent",
    group: "agents",
    packages: { "@openai/codex": "0.171.0" },
  },
];
