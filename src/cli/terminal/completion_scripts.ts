/** What can be completed of one command. */
export interface CommandWords {
  /** The name and its aliases. */
  readonly names: readonly string[];
  readonly summary: string;
  /** Words of which the first argument is one; mostly none. */
  readonly subcommands: readonly string[];
  readonly flags: readonly string[];
  /** Whose names the arguments are, behind the subcommand where there is one. */
  readonly takes?: (typeof NAME_KINDS)[number];
}

/** What the asked node knows by name. */
export const NAME_KINDS = ["models", "nodes"] as const;

/** Shells with a completion script. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

/** Prints one name per line; silent when no node runs. */
function namesCommand(kind: (typeof NAME_KINDS)[number]): string {
  return `odist completions bash --names ${kind} 2>/dev/null`;
}

/** A script for the shell to source. Names of models and nodes are asked of the node while completing. */
export function renderCompletions(
  shell: (typeof SHELLS)[number],
  commands: readonly CommandWords[],
): string {
  if (shell === "bash") return renderBash(commands);
  return shell === "zsh" ? renderZsh(commands) : renderFish(commands);
}

function renderBash(commands: readonly CommandWords[]): string {
  const cases = commands.map(({ names, subcommands, flags, takes }) => {
    const asked = takes === undefined ? "" : `$(${namesCommand(takes)})`;
    const words = subcommands.length === 0 ? `words="${asked}"` : `if ((COMP_CWORD == 2)); then ` +
      `words="${subcommands.join(" ")}"; else words="${asked}"; fi`;
    return `    ${names.join("|")})
      if [[ $current == -* ]]; then words="${flags.join(" ")}"; else ${words}; fi ;;`;
  });
  return `_odist() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words=""
  if ((COMP_CWORD == 1)); then words="${commandNames(commands).join(" ")}"
  else case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
  esac; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  # Model names hold colons, which readline takes for word breaks.
  declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$current"
}
complete -o default -F _odist odist
`;
}

function renderZsh(commands: readonly CommandWords[]): string {
  const described = commands.flatMap(({ names, summary }) =>
    names.map((name) => `    '${name}:${summary.replaceAll("'", "'\\''")}'`)
  );
  const cases = commands.map(({ names, subcommands, flags, takes }) => {
    const place = subcommands.length === 0 ? "" : "((CURRENT > 3)) && ";
    const asked = takes ? `; ${place}compadd -- \${(f)"$(${namesCommand(takes)})"}` : "";
    const first = subcommands.length === 0
      ? ""
      : `((CURRENT == 3)) && compadd -- ${subcommands.join(" ")}; `;
    return `    ${names.join("|")}) ${first}compadd -- ${flags.join(" ")}${asked} ;;`;
  });
  return `#compdef odist
_odist() {
  local -a commands=(
${described.join("\n")}
  )
  if ((CURRENT == 2)); then _describe command commands; return; fi
  case "\${words[2]}" in
${cases.join("\n")}
  esac
}
if [[ "\${funcstack[1]}" == _odist ]]; then _odist "$@"; else compdef _odist odist; fi
`;
}

function renderFish(commands: readonly CommandWords[]): string {
  const lines = ["complete -c odist -f"];
  for (const { names, summary, subcommands, flags, takes } of commands) {
    const quoted = summary.replaceAll("'", "\\'");
    for (const name of names) {
      lines.push(`complete -c odist -n __fish_use_subcommand -a ${name} -d '${quoted}'`);
    }
    const seen = `-n '__fish_seen_subcommand_from ${names.join(" ")}'`;
    if (subcommands.length > 0) {
      const words = subcommands.join(" ");
      const before = `${seen.slice(0, -1)}; and not __fish_seen_subcommand_from ${words}'`;
      lines.push(`complete -c odist ${before} -a '${words}'`);
    }
    for (const flag of flags) lines.push(`complete -c odist ${seen} -l ${flag.slice(2)}`);
    if (takes !== undefined) {
      const behind = subcommands.length === 0
        ? seen
        : `${seen.slice(0, -1)}; and __fish_seen_subcommand_from ${subcommands.join(" ")}'`;
      lines.push(`complete -c odist ${behind} -a "(${namesCommand(takes)})"`);
    }
  }
  return `${lines.join("\n")}\n`;
}

function commandNames(commands: readonly CommandWords[]): readonly string[] {
  return [...commands.flatMap(({ names }) => names), "help"];
}
