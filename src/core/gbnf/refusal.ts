/** Ends a conversion; whoever asked for it gets its text. `at` is a JSON pointer into the schema, as `#/properties/a`. */
export class SchemaRefusal extends Error {
  constructor(readonly at: string, readonly why: string) {
    super(`${at}: ${why}`);
  }
}

/** The grammar would be too large, or too much work; nothing can be left out to mend that. */
export class LimitRefusal extends SchemaRefusal {}
