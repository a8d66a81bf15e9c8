import type { HostAddress, HostFallback } from "./host_address.ts";

/** What every option says about itself. */
interface SpecShared {
  /** Which part of the program is handed the value. */
  readonly slice: "http" | "scheduler" | "engine" | "storage" | "cluster" | "telemetry" | "cli";
  /** `keep-alive`: the flag without dashes, the key in the file and, as `ODIST_KEEP_ALIVE`, the variable. */
  readonly flag: string;
  /** Ollama's variable for it, read by Ollama's lenient rules (contract section 6). */
  readonly alias?: {
    readonly variable: string;
    /** What a value means where Ollama's words differ; a boolean is looked up as `true` or `false`. */
    readonly words?: Readonly<Record<string, string>>;
  };
  /** Never shown: not by `odist config` and not in an error. */
  readonly secret?: true;
  /** One sentence for `--help`. */
  readonly summary: string;
  /** What a reader of docs/CONFIG.md wants to know besides. */
  readonly details?: string;
}

/** A bounded number. `automatic` says what 0 means where 0 stands for the node's own choice. */
interface SpecRange {
  readonly low: number;
  readonly high: number;
  readonly automatic?: string;
}

/** llama.cpp computes on so many devices of a machine. */
export const LISTED_DEVICES_MAX = 16;

/** One option. `default` is a text in the same form as users write it. */
export type OptionSpec =
  & SpecShared
  & (
    /** An address of the HTTP API. */
    | { readonly kind: "address"; readonly default: string }
    /** `host:port` alone; `fallback` completes what says less. The default "" is the fallback itself. */
    | { readonly kind: "endpoint"; readonly fallback: HostFallback; readonly default: string }
    | { readonly kind: "endpoints"; readonly fallback: HostFallback; readonly default: "" }
    /** `pattern` must match whole; "" is always allowed and means `automatic`, or nothing. */
    | {
      readonly kind: "text";
      readonly placeholder: string;
      readonly pattern: RegExp;
      /** What matches the pattern, in words. */
      readonly form: string;
      readonly automatic?: string;
      readonly default: "";
    }
    /** A folder; `~` and relative paths are resolved. `{data}` in the default is the data folder. */
    | { readonly kind: "folder"; readonly default: string }
    /** Milliseconds. `endless` names the values that stand for Infinity. */
    | (SpecRange & {
      readonly kind: "duration";
      readonly default: string;
      readonly endless?: "negative" | "zero_or_negative";
    })
    | (SpecRange & { readonly kind: "count"; readonly unit: string; readonly default: string })
    | (SpecRange & {
      readonly kind: "bytes";
      readonly default: string;
      /** What earlier releases took beyond `high`: it counts as `high`, with a warning. `instead` says what to do. */
      readonly formerly?: { readonly high: number; readonly instead: string };
    })
    /** Where it is on by default, `off` says what its flag, which turns it off, then does. */
    | { readonly kind: "boolean"; readonly default: "true"; readonly off: string }
    | { readonly kind: "boolean"; readonly default: "false" }
    | { readonly kind: "choice"; readonly choices: readonly string[]; readonly default: string }
    | { readonly kind: "list"; readonly unit: string; readonly default: "" }
    /** Numbers, or sizes, for devices in their order; at most {@link LISTED_DEVICES_MAX}. */
    | (SpecRange & {
      readonly kind: "per_device";
      readonly of: "bytes" | "numbers";
      readonly default: string;
    })
  );

/** The type a spec's values have in the Config. */
export type ValueOf<Spec extends OptionSpec> = Spec extends
  { readonly kind: "address" | "endpoint" } ? HostAddress
  : Spec extends { readonly kind: "endpoints" } ? readonly HostAddress[]
  : Spec extends { readonly kind: "folder" | "text" } ? string
  : Spec extends { readonly kind: "duration" | "count" | "bytes" } ? number
  : Spec extends { readonly kind: "per_device" } ? readonly number[]
  : Spec extends { readonly kind: "boolean" } ? boolean
  : Spec extends { readonly kind: "choice"; readonly choices: readonly (infer Choice)[] } ? Choice
  : readonly string[];

/** Any option's value. */
export type OptionValue =
  | HostAddress
  | string
  | number
  | boolean
  | readonly string[]
  | readonly number[]
  | readonly HostAddress[];

/** `ODIST_KEEP_ALIVE` for the flag `keep-alive`. */
export function variableOf(spec: OptionSpec): string {
  return `ODIST_${spec.flag.replaceAll("-", "_").toUpperCase()}`;
}

/** The flag as users type it; a boolean that is on by default has only a flag that turns it off. */
export function flagOf(spec: OptionSpec): string {
  return spec.kind === "boolean" && spec.default === "true"
    ? `--no-${spec.flag}`
    : `--${spec.flag}`;
}
