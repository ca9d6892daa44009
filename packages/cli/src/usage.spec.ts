import { SpatialError } from '@spatialsv/core';
import { EXIT, explainFailure } from './exit.js';
import { type InterruptSource, watchInterrupts } from './interrupt.js';
import { createProgram } from './run.js';
import { runForTest } from './testing/test-run.js';

describe('wrong usage', () => {
  it.each([
    [['tapz'], /unknown command 'tapz'/, /Did you mean taps\?/],
    [['doctor', '--jsn'], /unknown option '--jsn'/, /Did you mean --json\?/],
    [['taps', '--modle', 'x'], /unknown option '--modle'/, /Did you mean --model\?/],
    [['tiny', '--out', 'x'], /required option '--family <id>' not specified/, /--help/],
    [['tiny', '--family', 'a', '--out', 'b', '--layers', 'many'], /whole number/, /--help/],
    [['taps', '--layers', '1;2'], /layer numbers separated by commas/, /--help/],
    [
      ['train', 'c.yaml', '--accept-changes', 'data'],
      /--accept-changes is of a run that goes on, found no --resume/,
      /Add --resume/,
    ],
    [['ask', '--precision', 'half'], /Allowed choices are float32, bfloat16, float16/, /--help/],
    [['doctor', 'extra'], /too many arguments/, /--help/],
    [['tiny', '--family', 'qwen2.5vl', '--out', 'x'], /qwen2\.5-vl/, /Did you mean "qwen2\.5-vl"/],
  ])('%j exits with 2', async (args, message, hint) => {
    const { exitCode, err } = await runForTest(args);
    const [first, second, ...rest] = err.split('\n');
    expect(exitCode).toBe(EXIT.usage);
    expect(first).toMatch(/^error\[USAGE\]: /);
    expect(first).toMatch(message);
    expect(second).toMatch(/^hint: /);
    expect(second).toMatch(hint);
    expect(rest).toEqual(['']);
  });

  it('shows the commands when none is given', async () => {
    const { exitCode, err } = await runForTest([]);
    expect(exitCode).toBe(EXIT.usage);
    expect(err).toMatch(/Usage: spatialsv/);
  });
});

describe('help', () => {
  it('is there with an example for every command', async () => {
    const unused = {} as never;
    const names = createProgram(unused).commands.map((command) => command.name());
    for (const name of names) {
      const { exitCode, out } = await runForTest([name, '--help']);
      expect(exitCode).toBe(EXIT.done);
      expect(out).toContain(`  $ spatialsv ${name}`);
    }
    expect((await runForTest(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('explainFailure', () => {
  it('prints what to do, and the stack only on request', () => {
    const error = new SpatialError({ code: 'NON_FINITE', message: 'a', hint: 'b' });
    expect(explainFailure(error, false)).toEqual({
      exitCode: EXIT.failed,
      text: 'error[NON_FINITE]: a\nhint: b\n',
    });
    expect(explainFailure(error, true).text).toContain('usage.spec');
  });

  it('knows failures of the system, aborts and defects', () => {
    const full = Object.assign(new Error('no space'), { code: 'ENOSPC' });
    expect(explainFailure(full, false).text).toMatch(/^error\[ENOSPC\].*\nhint: The disk is full/);
    const aborted = explainFailure(AbortSignal.abort().reason, false);
    expect(aborted.exitCode).toBe(EXIT.interrupted);
    expect(explainFailure(new TypeError('x'), false).text).toMatch(/^error\[INTERNAL\]: x/);
  });
});

describe('watchInterrupts', () => {
  it('aborts first and exits second', () => {
    const listeners = new Set<() => void>();
    const codes: number[] = [];
    const told: string[] = [];
    const source: InterruptSource = {
      on: (_, listener) => listeners.add(listener),
      off: (_, listener) => listeners.delete(listener),
      exit: (code) => codes.push(code),
    };
    const interrupts = watchInterrupts(source, (text) => told.push(text));
    const [press] = listeners;
    press!();
    expect([interrupts.signal.aborted, told.length, codes]).toEqual([true, 1, []]);
    press!();
    expect(codes).toEqual([130]);
    interrupts.dispose();
    expect(listeners.size).toBe(0);
  });
});
