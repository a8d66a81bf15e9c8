/** What can be completed of one command. */
export interface CommandWords {
  /** The name and its aliases. */
  readonly names: readonly string[];
  readonly summary: string;
  /** Words of which the first argument is one; mostly none. */
  readonly subcommands: readonly string[];
  readonly flags: readonly string[];
  readonly takesModel: boolean;
}

/** Shells with a completion script. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

/** Prints one model name per line; silent when no node runs. */
const MODEL_NAMES = `odist list 2>/dev/null | awk 'NR > 1 { print $1 }'`;

/** A script for the shell to source. Model names are asked of the node while completing. */
export function renderCompletions(
  shell: (typeof SHELLS)[number],
  commands: readonly CommandWords[],
): string {
  if (shell === "bash") return renderBash(commands);
  return shell === "zsh" ? renderZsh(commands) : renderFish(commands);
}

function renderBash(commands: readonly CommandWords[]): string {
  const cases = commands.map(({ names, subcommands, flags, takesModel }) => {
    const words = takesModel ? `$(${MODEL_NAMES})` : subcommands.join(" ");
    return `    ${names.join("|")})
      if [[ $current == -* ]]; then words="${flags.join(" ")}"; else words="${words}"; fi ;;`;
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
  const cases = commands.map(({ names, subcommands, flags, takesModel }) => {
    const models = takesModel ? `; compadd -- \${(f)"$(${MODEL_NAMES})"}` : "";
    const words = [...subcommands, ...flags].join(" ");
    return `    ${names.join("|")}) compadd -- ${words}${models} ;;`;
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
  for (const { names, summary, subcommands, flags, takesModel } of commands) {
    const quoted = summary.replaceAll("'", "\\'");
    for (const name of names) {
      lines.push(`complete -c odist -n __fish_use_subcommand -a ${name} -d '${quoted}'`);
    }
    const seen = `-n '__fish_seen_subcommand_from ${names.join(" ")}'`;
    if (subcommands.length > 0) {
      lines.push(`complete -c odist ${seen} -a '${subcommands.join(" ")}'`);
    }
    for (const flag of flags) lines.push(`complete -c odist ${seen} -l ${flag.slice(2)}`);
    if (takesModel) {
      lines.push(`complete -c odist ${seen} -a "(${MODEL_NAMES.replaceAll("$1", "\\$1")})"`);
    }
  }
  return `${lines.join("\n")}\n`;
}

function commandNames(commands: readonly CommandWords[]): readonly string[] {
  return [...commands.flatMap(({ names }) => names), "help"];
}
