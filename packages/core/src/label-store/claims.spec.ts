import { createProcessOwner } from '../process-owner.js';
import { isHeld, parseClaim } from './claims.js';

const NOW = 1_000_000;
const me = createProcessOwner();
const claim = { owner: me, leaseMs: 1000, expiresAt: NOW + 500 };

describe('a claim', () => {
  it('is held while its owner runs and its lease lasts', () => {
    expect(isHeld(claim, NOW)).toBe(true);
    expect(isHeld(claim, NOW + 501)).toBe(false);
  });

  it('is not held longer than a lease when the clock was set back', () => {
    expect(isHeld(claim, NOW - 600)).toBe(false);
  });

  it('of another machine is held until its lease runs out', () => {
    const owner = { ...me, host: 'elsewhere', pid: 1, started: '1' };
    expect(isHeld({ ...claim, owner }, NOW)).toBe(true);
    expect(isHeld({ ...claim, owner }, NOW + 501)).toBe(false);
  });

  it.each([
    ['before the machine was started again', { boot: 'another' }],
    ['by a process that is gone', { pid: 2 ** 22 + 1 }],
    [
      'by a process that is gone, where start times are not known',
      { pid: 2 ** 22 + 1, started: '' },
    ],
  ])('that was made %s is not held', (_name, change) => {
    expect(isHeld({ ...claim, owner: { ...me, ...change } }, NOW)).toBe(false);
  });

  it('whose process id belongs to a later process is not held, where start times are known', () => {
    const isKnown = me.started !== '';
    const owner = { ...me, started: isKnown ? '1' : '' };
    expect(isHeld({ ...claim, owner }, NOW)).toBe(!isKnown);
  });

  it('that cannot be read holds nothing', () => {
    expect(parseClaim('{"owner":')).toBeUndefined();
    expect(parseClaim('{"owner":{}}')).toBeUndefined();
    expect(parseClaim(undefined)).toBeUndefined();
  });
});

describe('createProcessOwner', () => {
  it('is another one with every call', () => {
    expect(createProcessOwner().id).not.toBe(me.id);
    expect(createProcessOwner()).toMatchObject({ pid: process.pid, host: me.host });
  });
});
