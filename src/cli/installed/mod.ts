/**
 * The program as something that is installed on this machine: upgrading it, and taking it away again. `deploy/install.sh` and
 * `deploy/install.ps1` put it there; where they put what is in `places.ts`, from which they are made.
 *
 * @module
 */
import type { CommandRow } from "../command_row.ts";

/** In the order of the help. */
export const INSTALLED_COMMANDS: readonly CommandRow[] = [
  {
    name: "upgrade",
    summary: "Replace this program by its newest release",
    load: () => import("./upgrade.ts"),
  },
  {
    name: "uninstall",
    summary: "Remove this program, and say what stays",
    load: () => import("./uninstall.ts"),
  },
];

export { isThere } from "./places.ts";
export { compareVersions } from "./release.ts";
