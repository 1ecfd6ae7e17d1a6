/** The types that values of a definition are bound as. */
interface ParamTypes {
  String: string;
  Int64: number;
  UInt64: number;
  /** As text: a number of JavaScript could not hold it. */
  'Decimal(38, 10)': string;
  'Array(String)': readonly string[];
  'Array(Int64)': readonly number[];
}

/**
 * The bound parameters of one statement. Whatever a person wrote reaches ClickHouse through here and only through here:
 * the SQL's text is ours alone. Equal values share a parameter, so that equal parts of a statement have equal texts.
 */
export class SqlParams {
  readonly #byKey = new Map<string, { placeholder: string; name: string; value: unknown }>();

  /** Binds a value and returns its placeholder, such as `{p0:String}`. */
  bind<Type extends keyof ParamTypes>(type: Type, value: ParamTypes[Type]): string {
    const key = JSON.stringify([type, value]);
    const known = this.#byKey.get(key);
    if (known !== undefined) return known.placeholder;
    const name = `p${this.#byKey.size}`;
    const placeholder = `{${name}:${type}}`;
    this.#byKey.set(key, { placeholder, name, value });
    return placeholder;
  }

  values(): Record<string, unknown> {
    return Object.fromEntries([...this.#byKey.values()].map(({ name, value }) => [name, value]));
  }
}
