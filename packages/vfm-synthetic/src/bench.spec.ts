import { benchRender } from './bench.js';

describe('benchRender', () => {
  it('measures both rates', () => {
    const figures = benchRender({ width: 16, height: 16, seconds: 0.01 });
    expect(figures).toMatchObject({ width: 16, height: 16 });
    expect(figures.viewsPerSecond).toBeGreaterThan(0);
    expect(figures.labelsPerSecond).toBeGreaterThan(0);
  });
});
