/** Values by key up to a number of bytes; the longest unused ones go first. A value is made once, also when asked for twice at a time. */
export class ByteCache<Value> {
  readonly #capacity: number;
  readonly #sizeOf: (value: Value) => number;
  readonly #values = new Map<string, { readonly value: Value; readonly bytes: number }>();
  readonly #pending = new Map<string, Promise<Value>>();
  #bytes = 0;

  constructor(capacityBytes: number, sizeOf: (value: Value) => number) {
    this.#capacity = capacityBytes;
    this.#sizeOf = sizeOf;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async get(key: string, make: () => Promise<Value>): Promise<Value> {
    const found = this.#values.get(key);
    if (found !== undefined) {
      this.#values.delete(key);
      this.#values.set(key, found);
      return found.value;
    }
    return this.#pending.get(key) ?? this.#make(key, make);
  }

  #make(key: string, make: () => Promise<Value>): Promise<Value> {
    const pending = make()
      .then((value) => this.#keep(key, value))
      .finally(() => this.#pending.delete(key));
    this.#pending.set(key, pending);
    return pending;
  }

  #keep(key: string, value: Value): Value {
    const bytes = this.#sizeOf(value);
    if (bytes > this.#capacity) return value;
    this.#values.set(key, { value, bytes });
    this.#bytes += bytes;
    for (const [oldest, entry] of this.#values) {
      if (this.#bytes <= this.#capacity) break;
      this.#values.delete(oldest);
      this.#bytes -= entry.bytes;
    }
    return value;
  }
}
