import { CodedError, EngineError } from '@spatialsv/engine';
import { SpatialError } from './errors.js';

const text = { message: 'what', hint: 'what to do' };
const own = new SpatialError({ code: 'USAGE', ...text });
const engine = new EngineError({ code: 'INPUT_INVALID', ...text });
const others = [new Error('no code'), { code: 'USAGE', ...text }, 'USAGE', null, undefined];

describe('errors', () => {
  it('are recognised by their own class alone', () => {
    const found = [own, engine, ...others].map((error) => [
      SpatialError.isInstance(error),
      EngineError.isInstance(error),
      CodedError.isInstance(error),
    ]);
    const none = [false, false, false];
    expect(found).toEqual([[true, false, true], [false, true, true], ...others.map(() => none)]);
  });

  it('are recognised when another copy of the packages made them', () => {
    const copy = (mark: string) => ({
      [Symbol.for('spatialsv.error')]: true,
      [Symbol.for(mark)]: true,
    });
    expect(SpatialError.isInstance(copy('spatialsv.error.spatial'))).toBe(true);
    expect(EngineError.isInstance(copy('spatialsv.error.engine'))).toBe(true);
    expect(SpatialError.isInstance(copy('spatialsv.error.engine'))).toBe(false);
  });

  it('keep their cause and name themselves', () => {
    const cause = new Error('before');
    const error = new EngineError({ code: 'BUSY', ...text, cause });
    expect([error.cause, String(error), String(own)]).toEqual([
      cause,
      'EngineError: what',
      'SpatialError: what',
    ]);
  });
});
