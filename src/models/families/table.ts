import { jsonCall } from "./call_texts.ts";
import { calls, CHATML, family, THINK, toolWords } from "./common.ts";
import { CHATML_FAMILIES } from "./chatml_families.ts";
import type { Family } from "./family.ts";
import { HEADER_FAMILIES } from "./header_families.ts";
import { TURN_FAMILIES } from "./turn_families.ts";

/** What models without any template are asked in, and those whose template has nothing but its turns. */
const PLAIN_CHATML = family({
  id: "chatml",
  names: ["chatml"],
  marks: [["<|im_start|>"]],
  answer: { thinking: THINK, calls: [calls("<tool_call>", "</tool_call>")] },
  turns: {
    ...CHATML,
    tools: toolWords('<tool_call>\n{"name": <name>, "arguments": <object>}\n</tool_call>'),
    call: jsonCall(),
    calls: ["<tool_call>\n", "\n</tool_call>"],
    callsBetween: "\n</tool_call>\n<tool_call>\n",
  },
  stops: ["<|im_start|>", "<|im_end|>"],
});

/** All families; the first whose marks a template has is its family, so that the plainest stand last. */
export const FAMILIES: readonly Family[] = [
  ...HEADER_FAMILIES,
  ...TURN_FAMILIES,
  ...CHATML_FAMILIES,
  PLAIN_CHATML,
];

/** The family with an id. */
export function familyById(id: string | undefined): Family | undefined {
  return FAMILIES.find((family) => family.id === id);
}

/** The family that a RENDERER or PARSER line means; undefined when it names none that is known here. */
export function familyByName(name: string | undefined): Family | undefined {
  if (name === undefined) return undefined;
  const wanted = name.toLowerCase();
  return FAMILIES.find(({ id, names }) => id === wanted || names.includes(wanted));
}

/** RENDERER and PARSER lines that nothing here goes by, each as a sentence. */
export function unknownNames(
  { renderer, parser }: { readonly renderer?: string; readonly parser?: string },
): readonly string[] {
  const lines = [["renderer", renderer], ["parser", parser]] as const;
  return lines.flatMap(([kind, name]) => {
    const isKnown = name === undefined || name === "passthrough" ||
      familyByName(name) !== undefined;
    return isKnown ? [] : [`no ${kind} "${name}" here, the model's template is used`];
  });
}

/** The family whose language a template is in, by its marks. */
export function familyOfTemplate(template: string): Family | undefined {
  return FAMILIES.find(({ marks }) =>
    marks.some((texts) => texts.every((text) => template.includes(text)))
  );
}

/** The family of models that come without a template. */
export function familyOfArchitecture(architecture: string): Family | undefined {
  return FAMILIES.find(({ architectures }) => architectures.includes(architecture));
}
