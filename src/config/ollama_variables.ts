/** A variable that people set for Ollama and that changes nothing here. */
export interface PassedOverVariable {
  readonly variable: string;
  /** Why it has no meaning here and, where there is one, what does instead: one sentence. */
  readonly why: string;
}

const NO_CLOUD_HERE =
  "There is no hosted service behind odist, so there is nothing to allow or to forbid.";

/** Ollama's variables (contract section 6) that no option reads; all others are an option's second name. */
export const PASSED_OVER_VARIABLES: readonly PassedOverVariable[] = [
  {
    variable: "OLLAMA_SCHED_SPREAD",
    why:
      "A model that fits one GPU lies there whole (main_gpu names which is tried first), and others are spread.",
  },
  {
    variable: "OLLAMA_LLM_LIBRARY",
    why: "odist backend add brings libraries, and --gpu chooses among them.",
  },
  { variable: "OLLAMA_VULKAN", why: "odist backend add vulkan brings it, and --gpu chooses it." },
  { variable: "OLLAMA_IGPU_ENABLE", why: "--gpu names the devices that are used." },
  {
    variable: "LLAMA_ARG_FIT",
    why: "There is no llama-server behind odist that could be handed it.",
  },
  {
    variable: "LLAMA_ARG_FIT_TARGET",
    why: "There is no llama-server behind odist that could be handed it; see --gpu-reserve.",
  },
  {
    variable: "OLLAMA_MAX_TRANSFER_STREAMS",
    why: "It bounds the transfers of models in safetensors, which odist doesn't serve.",
  },
  {
    variable: "OLLAMA_GO_TEMPLATE",
    why: "Of a model's two templates the one that can do more is used.",
  },
  {
    variable: "OLLAMA_DEBUG_LOG_REQUESTS",
    why: "What clients send is written nowhere; --log-level debug logs requests without bodies.",
  },
  { variable: "OLLAMA_NO_CLOUD", why: NO_CLOUD_HERE },
  { variable: "OLLAMA_CLOUD_BASE_URL", why: NO_CLOUD_HERE },
  { variable: "OLLAMA_REMOTES", why: "Models on other hosts are those of the cluster's members." },
  {
    variable: "OLLAMA_AUTH",
    why: "It signs requests with a key that no server checks; keys of odist are given with --key.",
  },
  {
    variable: "OLLAMA_AGENT_DISABLE_SHELL",
    why: "The command line has no agent: it runs no tools for a model.",
  },
  {
    variable: "OLLAMA_AGENT_DISABLE_WEBSEARCH",
    why: "The command line has no agent: it runs no tools for a model.",
  },
  {
    variable: "OLLAMA_SKILLS",
    why: "The command line has no agent: it runs no tools for a model.",
  },
];
