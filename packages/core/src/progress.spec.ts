import { createProgress, formatSeconds } from './progress.js';

function recorded(isTTY: boolean) {
  const written: string[] = [];
  let timeMs = 0;
  const stream = { isTTY, columns: 60, write: (text: string) => written.push(text) };
  const progress = createProgress(stream, { now: () => timeMs });
  const advance = (ms: number) => {
    timeMs += ms;
  };
  return { progress, written, advance };
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

  it('redraws one line on a terminal, at most ten times a second, never wider than it', () => {
    const { progress, written, advance } = recorded(true);
    progress.start('Training', 1000);
    for (let step = 1; step <= 100; step++) {
      advance(10);
      progress.update(step, 'a text that is much too long for the width of this terminal');
    }
    expect(written.length).toBe(11);
    expect(written.every((line) => line.startsWith('\r\x1b[K') && line.length <= 64)).toBe(true);
    expect(written.some((line) => line.includes('\n'))).toBe(false);
    progress.done('Trained');
    expect(written.at(-1)).toBe('\r\x1b[KTrained\n');
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
