import { nearestName } from './nearest-name.js';

describe('nearestName', () => {
  const known = ['learningRate', 'batchSize', 'warmupRatio'];

  it('finds the name with the fewest edits, letter case ignored', () => {
    expect(nearestName(known, 'learningrate')).toBe('learningRate');
    expect(nearestName(known, 'bacthSize')).toBe('batchSize');
  });

  it('stays silent when nothing is close', () => {
    expect(nearestName(known, 'zzz')).toBeUndefined();
    expect(nearestName([], 'x')).toBeUndefined();
  });
});
