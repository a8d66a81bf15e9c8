import bash from "highlight.js/lib/languages/bash";
import cpp from "highlight.js/lib/languages/cpp";
import css from "highlight.js/lib/languages/css";
import go from "highlight.js/lib/languages/go";
import java from "highlight.js/lib/languages/java";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { createLowlight } from "lowlight";
import type { ComponentChildren } from "preact";

/** The languages that answers are mostly written in; others are shown in one colour. */
const lowlight = createLowlight({
  bash,
  cpp,
  css,
  go,
  java,
  json,
  python,
  rust,
  sql,
  typescript,
  xml,
  yaml,
});
lowlight.registerAlias({ typescript: ["js", "javascript", "tsx", "jsx", "ts"], bash: ["console"] });

/** Longer code stays in one colour: it would be coloured anew with each token that comes. */
const CHARACTERS_MAX = 20_000;

interface Piece {
  readonly type: string;
  readonly value?: string;
  readonly children?: readonly Piece[];
  readonly properties?: { readonly className?: unknown };
}

/** Code in colours. */
export function coloured(text: string, language: string): ComponentChildren {
  if (text.length > CHARACTERS_MAX || !lowlight.registered(language)) return text;
  return pieces(lowlight.highlight(language, text).children as readonly Piece[]);
}

function pieces(list: readonly Piece[]): ComponentChildren {
  return list.map(({ value, children, properties }, index) => {
    if (value !== undefined) return value;
    const names = Array.isArray(properties?.className) ? properties.className.join(" ") : "";
    return <span key={index} class={names}>{pieces(children ?? [])}</span>;
  });
}
