/** What the conformance suites need of a test runner; the globals of Jest and Vitest have it. */
export interface TestRunner {
  describe(name: string, body: () => void): void;
  it(name: string, body: () => Promise<void>, timeoutMs?: number): void;
  afterAll(body: () => Promise<void>): void;
}

/** The test runner that this file runs in. @throws Error outside of one. */
export const globalRunner = (): TestRunner => {
  const globals = globalThis as Partial<TestRunner>;
  if (globals.describe && globals.it && globals.afterAll) return globals as TestRunner;
  throw new Error('Conformance suites run inside a test runner with global describe and it.');
};

/** Computes a value when it is first asked for, and once. */
export const once = <Value>(make: () => Value | Promise<Value>): (() => Promise<Value>) => {
  let value: Promise<Value> | undefined;
  return () => {
    value ??= (async () => make())();
    return value;
  };
};
