/** A way into this program. */
export interface Entry {
  /** Its module, from the program's folder, without the extension: it is another in a bundle. */
  readonly module: string;
  /** The hidden subcommand that leads there where the program is one file with one way in. */
  readonly subcommand: string;
}

/** This very program, to be started again as another process. */
export interface OwnProgram {
  /** Files and folders it reads to start. */
  readonly files: readonly string[];
  /** The command line that starts it at `entry` with Deno's permission flags; the entry's own words follow. */
  command(entry: Entry, permissions: readonly string[]): string[];
}

/**
 * How to start this program again, whatever it was packed into.
 *
 * @param folder Where `main.ts` lies, or `main.js` in a bundle.
 * @param extension What its modules end in, such as `.js`.
 */
export function ownProgram(folder: string, extension: string): OwnProgram {
  const deno = Deno.execPath();
  if (Deno.build.standalone) {
    // Permissions are baked into such a file: only what a process revokes differs from one to the next.
    return { files: [deno], command: ({ subcommand }) => [deno, subcommand] };
  }
  const isBundle = extension === ".js";
  // A bundle is whole; any configuration found above its folder would be somebody else's. From source, Deno would add
  // this machine's own llama.cpp package to the lock file of all machines.
  const closed = isBundle ? ["--no-config", "--no-lock", "--cached-only"] : ["--no-lock"];
  const sources = ["src", "deno.json", "main.ts"].map((name) => `${folder}/${name}`);
  return {
    files: [deno, ...isBundle ? [folder] : sources],
    command: ({ module }, permissions) =>
      [deno, "run", "--quiet", "--no-prompt", ...permissions]
        .concat(closed, `${folder}/${module}${extension}`),
  };
}

/** The extension of the module at `url`, such as `.js`. */
export function extensionOf(url: string): string {
  return url.slice(url.lastIndexOf("."));
}
