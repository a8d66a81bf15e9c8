/**
 * Runs the Deno that runs this.
 *
 * @module
 */

/** Runs the pinned Deno in `root`; throws Error with its output when it fails. */
export async function runDeno(root: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: root,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`deno ${args[0]} failed: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}
