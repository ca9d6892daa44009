import { CodedError, EngineError } from '@spatialsv/engine';
import { joinErrors, SpatialError, withCleanup } from './errors.js';

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

const spatial = new SpatialError({ code: 'NON_FINITE', message: 'loss is NaN', hint: 'Lower it.' });
const system = Object.assign(new Error('no space left'), { code: 'ENOSPC' });

describe('joinErrors', () => {
  it('keeps code and hint of the first and names both', () => {
    const joined = joinErrors(spatial, system);
    expect(joined).toMatchObject({ code: 'NON_FINITE', hint: 'Lower it.' });
    expect(joined.message).toMatch(/loss is NaN.*no space left/);
    expect((joined.cause as AggregateError).errors).toEqual([spatial, system]);
  });

  it('keeps the code of a system error', () => {
    expect(joinErrors(system, spatial)).toMatchObject({ code: 'ENOSPC' });
    const engine = new EngineError({ code: 'BUSY', message: 'busy', hint: 'wait' });
    expect(EngineError.isInstance(joinErrors(engine, system))).toBe(true);
    expect(joinErrors('text', undefined).message).toBe('text; after that: undefined');
  });
});

describe('withCleanup', () => {
  it('does every cleanup in turn and gives the result', async () => {
    const done: string[] = [];
    const cleanups = ['a', 'b'].map((name) => async () => done.push(name));
    expect(await withCleanup(async () => 7, ...cleanups)).toBe(7);
    expect(done).toEqual(['a', 'b']);
  });

  it('goes on after a failure, and no failure hides another', async () => {
    const done: string[] = [];
    const failing = withCleanup(
      () => Promise.reject(spatial),
      () => {
        throw system;
      },
      () => done.push('last'),
    );
    await expect(failing).rejects.toMatchObject({ code: 'NON_FINITE' });
    await expect(failing).rejects.toThrow(/loss is NaN.*no space left/);
    expect(done).toEqual(['last']);
    const cleanup = withCleanup(
      async () => 1,
      () => Promise.reject(system),
    );
    await expect(cleanup).rejects.toBe(system);
    await expect(withCleanup(() => Promise.reject(spatial))).rejects.toBe(spatial);
  });
});
