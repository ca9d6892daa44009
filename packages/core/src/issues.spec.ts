import { z } from 'zod';
import { describeProblem } from './issues.js';

const schema = z.strictObject({ a: z.strictObject({ n: z.number() }), b: z.array(z.string()) });

describe('describeProblem', () => {
  it('says in one line what a schema found', () => {
    const { error } = schema.safeParse({ a: { n: 'x', c: 1 }, b: ['y', 2], d: 3 });
    expect(describeProblem(error)).toBe(
      "'a.n': expected number, found string; unknown 'a.c'; 'b.1': expected string, found number; unknown 'd'",
    );
    expect(describeProblem(z.number().safeParse('x').error)).toBe('expected number, found string');
  });

  it('repeats the message of any other error', () => {
    expect(describeProblem(new Error('no'))).toBe('no');
    expect(describeProblem(null)).toBe('null');
  });
});
