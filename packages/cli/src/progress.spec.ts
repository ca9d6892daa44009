import { createProgress, formatSeconds } from './progress.js';

// The display goes by the clock, which stands still unless a test moves it.
beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

function recorded(isTTY: boolean) {
  const written: string[] = [];
  const write = (text: string) => written.push(text);
  const stream = { isTTY, columns: 60, write } as unknown as NodeJS.WriteStream;
  const advance = (ms: number) => jest.advanceTimersByTime(ms);
  return { progress: createProgress(stream), written, advance };
}

describe('createProgress', () => {
  it('prints a plain line per tenth when it is not a terminal', () => {
    const { progress, written, advance } = recorded(false);
    progress.start('Training', 100);
    for (let step = 1; step <= 100; step++) {
      advance(200);
      progress.update(step, 'loss 1.5');
    }
    progress.done();
    expect(written).toHaveLength(12);
    expect(written[5]).toBe('Training: 50 % · 50/100 · 5.0/s · 10 s left · loss 1.5\n');
    expect(written.at(-1)).toBe('Training: done in 20 s\n');
  });

  it('prints the ends alone when the work is short', () => {
    const { progress, written, advance } = recorded(false);
    progress.start('Short', 10);
    for (let step = 1; step <= 10; step++) {
      advance(50);
      progress.update(step);
    }
    progress.done();
    expect(written).toEqual(['Short …\n', 'Short: done in 0.5 s\n']);
  });

  it('prints at least every five seconds when the work is slow', () => {
    const { progress, written, advance } = recorded(false);
    progress.start('Slow', 1000);
    for (let step = 1; step <= 6; step++) {
      advance(2000);
      progress.update(step);
    }
    expect(written.slice(1)).toEqual([
      'Slow: 0 % · 3/1000 · 2.0 s each · 33:14 left\n',
      'Slow: 0 % · 6/1000 · 2.0 s each · 33:08 left\n',
    ]);
  });

  it('redraws one line on a terminal, never wider than it, with a bar and the time left', () => {
    const { progress, written, advance } = recorded(true);
    progress.start('Training', 1000);
    for (let step = 1; step <= 100; step++) {
      advance(10);
      progress.update(step, 'a text that is much too long for the width of this terminal');
    }
    const lines = written.filter((text) => text.includes('Training'));
    // Ten a second, the first and the last.
    expect(lines.length).toBeGreaterThan(5);
    expect(lines.length).toBeLessThan(15);
    expect(lines.every((line) => line.length < 60 && !line.includes('\n'))).toBe(true);
    expect(lines.at(-1)).toMatch(/^Training ━━╌{22} \d+\/1000 · \d+\/s · \d/);
    progress.done('Trained');
    expect(written.at(-1)).toBe('Trained\n');
    expect(jest.getTimerCount()).toBe(0);
  });

  it('leaves no timer behind when work is not finished', () => {
    const { progress, written } = recorded(true);
    progress.start('Training', 3);
    expect(jest.getTimerCount()).toBeGreaterThan(0);
    progress.stop();
    expect(jest.getTimerCount()).toBe(0);
    expect(written.join('')).not.toContain('done');
  });

  it('counts without a total', () => {
    const { progress, written, advance } = recorded(false);
    progress.start('Reading');
    advance(6000);
    progress.update(30);
    expect(written.at(-1)).toBe('Reading: 30 · 5.0/s\n');
  });
});

describe('formatSeconds', () => {
  it.each([
    [0.42, '0.4 s'],
    [9.96, '10 s'],
    [59.6, '1:00'],
    [185, '3:05'],
    [7385, '2:03:05'],
  ])('%f', (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });
});
