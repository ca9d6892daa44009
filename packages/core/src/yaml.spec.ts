import { readYaml } from './yaml.js';

const refused = (text: string, message: RegExp) =>
  expect(() => readYaml(text, 'run.yaml')).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
  );

describe('readYaml', () => {
  it('reads plain YAML, anchors and an empty text', () => {
    const { value, lineOf } = readYaml('a: &a [1, 2]\nb: *a\nc: { d: "[[" }\n', 'run.yaml');
    expect(value).toEqual({ a: [1, 2], b: [1, 2], c: { d: '[[' } });
    expect([lineOf(0), lineOf(13)]).toEqual([1, 2]);
    expect(readYaml('', 'run.yaml').value).toBeUndefined();
    const many = `a: &a 1\nb: [${'*a, '.repeat(900)}1]`;
    expect((readYaml(many, 'run.yaml').value as { b: number[] }).b).toHaveLength(901);
  });

  it('refuses aliases that explode, and one that holds itself', () => {
    const layers = Array.from(
      { length: 12 },
      (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i}, `.repeat(9)}*a${i}]`,
    );
    refused(
      `x: 1\na0: &a0 [1]\n${layers.join('\n')}\n`,
      /^run\.yaml:\d+: the alias \*a\d stands for/,
    );
    refused(`a: &a 1\nb: [${'*a, '.repeat(1001)}1]`, /at most 1000 aliases/);
    refused('x: 1\na: &a [1, *a]\n', /^run\.yaml:2: the alias \*a holds itself/);
    refused('a: &a { b: { c: *a } }\n', /^run\.yaml:1: the alias \*a holds itself/);
  });

  it('refuses a key that is the prototype of objects', () => {
    refused('model: a\nheads:\n  __proto__: { x: 1 }\n', /^run\.yaml:3: unknown key '__proto__'/);
    refused('"__proto__": 1\n', /^run\.yaml:1:/);
    expect({}).not.toHaveProperty('x');
  });

  it('refuses what is broken, tagged, long or deep', () => {
    refused('a: 1\nb: [\n', /^run\.yaml:\d: /);
    refused('a: 1\na: 2\n', /^run\.yaml:2: .*unique/);
    refused('a: 1\nb: *c\n', /^run\.yaml:2: .*alias/i);
    refused('a: 1\nb: !!js/function "x"\n', /^run\.yaml:2: .*tag/i);
    refused('a: 1\n---\nb: 2\n', /^run\.yaml:\d: /);
    refused(`a: ${'x'.repeat(1 << 20)}`, /at most 262144 characters/);
    refused(`a: 1\nb: ${'['.repeat(50_000)}`, /^run\.yaml:2: brackets more than 100 deep/);
    refused(`a: 1\nb:\n  ${'- '.repeat(50_000)}1`, /^run\.yaml:3: brackets/);
    const block = Array.from({ length: 600 }, (_, i) => `${' '.repeat(i)}a:`).join('\n');
    refused(block, /^run\.yaml:402: brackets/);
  });
});
