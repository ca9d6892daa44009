import { SpatialError } from './errors.js';
import {
  collectFinding,
  type Finding,
  findingError,
  findingMessage,
  findingOf,
  requireNoErrors,
} from './finding.js';

const FINDING: Finding = {
  severity: 'error',
  code: 'DATA_INVALID',
  what: "field 'id'",
  where: '/a/b.jsonl:3',
  expected: 'a text',
  found: '7',
  hint: 'Correct it.',
};

describe('findings', () => {
  it('say what, where, expected and found', () => {
    expect(findingMessage(FINDING)).toBe("/a/b.jsonl:3: field 'id': expected a text, found 7");
    const { expected: _, found: __, ...bare } = FINDING;
    expect(findingMessage(bare)).toBe("/a/b.jsonl:3: field 'id'");
  });

  it('become errors and come from errors with the same text', () => {
    const error = findingError(FINDING);
    expect(error).toMatchObject({ code: 'DATA_INVALID', hint: 'Correct it.' });
    const again = findingOf(error);
    expect(again).toMatchObject({ where: '/a/b.jsonl:3', severity: 'error' });
    expect(findingMessage(again)).toBe(error.message);
    const plain = findingOf(new SpatialError({ code: 'USAGE', message: 'no place', hint: '' }));
    expect(findingMessage(plain)).toBe('no place');
  });

  it('let warnings pass', () => {
    requireNoErrors([{ ...FINDING, severity: 'warning' }]);
    expect(() => requireNoErrors([FINDING])).toThrow(/field 'id'/);
  });

  it('are collected where errors are thrown, and defects are not', async () => {
    const findings: Finding[] = [];
    const refused = () => Promise.reject(findingError(FINDING));
    expect(await collectFinding(findings, refused)).toBeUndefined();
    expect(await collectFinding(findings, async () => 4)).toBe(4);
    expect(findings).toHaveLength(1);
    const defect = () => Promise.reject(new TypeError('defect'));
    await expect(collectFinding(findings, defect)).rejects.toThrow('defect');
  });
});
