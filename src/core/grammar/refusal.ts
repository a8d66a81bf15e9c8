/** Inside this folder only: ends the conversion. `at` is a JSON pointer into the schema, as `#/properties/a`. */
export class SchemaRefusal extends Error {
  constructor(readonly at: string, readonly why: string) {
    super(`${at}: ${why}`);
  }
}
