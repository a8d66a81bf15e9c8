/** Loaded before a node: on SIGUSR2 it tries to write into each of `TRIED_FOLDERS`, and prints what came of it. */
const folders: string[] = JSON.parse(Deno.env.get("TRIED_FOLDERS") ?? "[]");

Deno.addSignalListener("SIGUSR2", () => {
  const outcomes = folders.map((folder) => [folder, outcomeOf(folder)]);
  console.error(`writes ${JSON.stringify(Object.fromEntries(outcomes))}`);
});

function outcomeOf(folder: string): string {
  const path = `${folder.replace("{home}", Deno.env.get("HOME") ?? "")}/odist-write-probe`;
  try {
    Deno.writeTextFileSync(path, "");
    Deno.removeSync(path);
    return "written";
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  }
}
