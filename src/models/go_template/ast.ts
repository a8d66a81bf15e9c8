/** Where a node stands: `at` is an index in the source, `line` counts from 1. */
export interface GoPlace {
  readonly at: number;
  readonly line: number;
}

/** Something a command may consist of. Fields hold names without dots; a variable's first name has its `$`. */
export type GoOperand =
  & (
    | { readonly kind: "dot" }
    | { readonly kind: "nil" }
    | { readonly kind: "constant"; readonly value: GoConstant }
    | { readonly kind: "field"; readonly names: readonly string[] }
    | { readonly kind: "variable"; readonly names: readonly string[] }
    | { readonly kind: "function"; readonly name: string }
    | { readonly kind: "chain"; readonly of: GoOperand; readonly names: readonly string[] }
    | { readonly kind: "pipeline"; readonly pipeline: GoPipeline }
  )
  & GoPlace
  & { readonly source: string };

/** A literal. Go tells integers and floats apart when it prints and compares them. */
export type GoConstant =
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "int" | "float"; readonly value: number }
  | { readonly type: "string"; readonly value: string };

/** First word and arguments. Invariant: never empty. */
export interface GoCommand extends GoPlace {
  readonly words: readonly GoOperand[];
  readonly source: string;
}

/** `$x, $y := command | command`. */
export interface GoPipeline extends GoPlace {
  readonly variables: readonly string[];
  readonly binding: "none" | "declare" | "assign";
  readonly commands: readonly GoCommand[];
  readonly source: string;
}

/** One part of a template. */
export type GoNode =
  & (
    | { readonly kind: "text"; readonly text: string }
    | { readonly kind: "action"; readonly pipeline: GoPipeline }
    | {
      readonly kind: "if" | "with" | "range";
      readonly pipeline: GoPipeline;
      readonly body: readonly GoNode[];
      /** Absent where there is no `else`. */
      readonly otherwise?: readonly GoNode[];
    }
    | {
      readonly kind: "template";
      readonly name: string;
      readonly pipeline?: GoPipeline;
      readonly source: string;
    }
    | { readonly kind: "break" | "continue" }
  )
  & GoPlace;

/** A parsed source: the main part and what it defines by name. */
export interface GoTemplate {
  readonly source: string;
  readonly root: readonly GoNode[];
  readonly defined: ReadonlyMap<string, readonly GoNode[]>;
}
