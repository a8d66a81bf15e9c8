/**
 * Other people's programs that packages are made and looked at with.
 *
 * @module
 */

/** Whether a program is in PATH. */
export function hasTool(name: string): boolean {
  const folders = (Deno.env.get("PATH") ?? "").split(Deno.build.os === "windows" ? ";" : ":");
  return folders.some((folder) => {
    try {
      return Deno.statSync(`${folder}/${name}`).isFile;
    } catch {
      return false;
    }
  });
}

/** What a program printed; throws Error with what it complained of, and the command, when it fails. */
export async function runTool(
  command: readonly string[],
  options: {
    readonly cwd?: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly stdin?: string;
  } = {},
): Promise<string> {
  const { stdin = "", ...rest } = options;
  const [name = "", ...args] = command;
  const child = new Deno.Command(name, {
    ...rest,
    ...{ args, stdin: "piped", stdout: "piped", stderr: "piped" },
  }).spawn();
  const writer = child.stdin.getWriter();
  // A program that reads nothing may be gone before it is written to.
  await writer.write(new TextEncoder().encode(stdin)).then(() => writer.close()).catch(() => {});
  const { success, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  const said = decoder.decode(stdout);
  if (success) return said;
  throw new Error(`${command.join(" ")} failed: ${said}${decoder.decode(stderr)}`);
}
