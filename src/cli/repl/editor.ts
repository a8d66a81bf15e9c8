import { join } from "node:path";
import { errorMessage, printableText, RequestError } from "../../base/mod.ts";

/** What is started when neither variable names an editor. */
const DEFAULT_EDITOR = Deno.build.os === "windows" ? "notepad" : "vi";

/**
 * Lets the user's editor change a text; takes over the terminal until the editor ends.
 *
 * @throws RequestError `request_failed` when there is no such editor or it failed.
 */
export async function editText(
  text: string,
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const editor = env.OLLAMA_EDITOR || env.VISUAL || env.EDITOR ||
    DEFAULT_EDITOR;
  const [program = DEFAULT_EDITOR, ...args] = editor.split(/\s+/);
  const folder = await Deno.makeTempDir({ prefix: "odist-prompt-" });
  const path = join(folder, "prompt.md");
  try {
    await Deno.writeTextFile(path, text, { mode: 0o600 });
    const child = new Deno.Command(program, { args: [...args, path], stdin: "inherit" }).spawn();
    const { success, code } = await child.status;
    if (!success) throw new RequestError("request_failed", `${editor} ended with code ${code}`);
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof RequestError) throw error;
    const reason = `Cannot start the editor "${editor}": set EDITOR (${
      printableText(errorMessage(error))
    })`;
    throw new RequestError("request_failed", reason, { cause: error });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
