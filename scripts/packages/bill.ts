/**
 * The bill of materials: everything that is in the file, as CycloneDX wants it.
 *
 * @module
 */
import { NATIVE_RELEASE } from "../../src/inference/launch/mod.ts";
import { findPackages } from "../packaging/licenses.ts";
import { DESCRIPTION } from "./description.ts";
import type { Program } from "./release_files.ts";

interface Component {
  readonly type: "library" | "platform";
  readonly name: string;
  readonly version: string;
  readonly purl: string;
}

/** @param madeAt When the program was, in ISO 8601. */
export async function renderBill(
  root: string,
  programs: readonly Program[],
  madeAt: string,
): Promise<string> {
  const { name, version, license, homepage } = DESCRIPTION;
  const purl = `pkg:github/${homepage.split("/").slice(-2).join("/")}@v${version}`;
  const bill = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    ...{ bomFormat: "CycloneDX", specVersion: "1.6", version: 1 },
    metadata: {
      timestamp: madeAt,
      component: {
        ...{ type: "application", "bom-ref": purl, name, version, purl },
        licenses: [{ license: { id: license } }],
        components: programs.map(({ file, sha256 }) => ({
          ...{ type: "file", name: file, version },
          hashes: [{ alg: "SHA-256", content: sha256 }],
        })),
      },
    },
    components: (await componentsOf(root, programs)).map((component) => ({
      "bom-ref": component.purl,
      ...component,
    })),
  };
  return `${JSON.stringify(bill, null, 2)}\n`;
}

async function componentsOf(root: string, programs: readonly Program[]): Promise<Component[]> {
  const deno = Deno.version.deno;
  const npm = (name: string, version: string): Component => ({
    ...{ type: "library", name, version },
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
  });
  const packages = (await findPackages(root)).map(({ name, version }) => npm(name, version));
  const natives = programs.map(({ os, arch }) => {
    const system = { linux: "linux", darwin: "mac", windows: "win" }[os];
    const machine = arch === "x86_64" ? "x64" : os === "darwin" ? "arm64-metal" : "arm64";
    return npm(`@node-llama-cpp/${system}-${machine}`, NATIVE_RELEASE);
  });
  const runtime: Component = {
    ...{ type: "platform", name: "deno", version: deno },
    purl: `pkg:github/denoland/deno@v${deno}`,
  };
  const byPurl = new Map([runtime, ...natives, ...packages].map((one) => [one.purl, one]));
  return [...byPurl.values()].sort((left, right) => left.purl < right.purl ? -1 : 1);
}
