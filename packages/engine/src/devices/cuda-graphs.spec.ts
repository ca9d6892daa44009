import path from 'node:path';
import { dryRun, hasPretendCuda } from '../testing/pretend-cuda/dry-run.cjs';
import type { ReplayCounts } from './device.js';

interface Counts {
  readonly launch: number;
  readonly HostToDevice: number;
  readonly DeviceToHost: number;
  readonly cudaMalloc: number;
  readonly cudaGraphLaunch: number;
  readonly cudaStreamBeginCapture: number;
  readonly 'recorded copy of the host': number;
  readonly 'recorded call of the host': number;
  readonly 'refused while recording': number;
  readonly threads: number;
  readonly live: number;
}
interface Steps {
  readonly steps: readonly Counts[];
  readonly elsewhere: readonly Counts[];
  readonly changed: readonly Counts[];
  readonly again: Counts;
  readonly made: ReplayCounts;
  readonly left: number;
}
interface Seen {
  readonly replayed: Steps;
  readonly unrecordable: { readonly runs: readonly Counts[]; readonly made: ReplayCounts };
  readonly beside: Counts;
}

const SCRIPT = path.join(__dirname, '__fixtures__/replay-dry-run.cjs');
/** What a run of a CUDA graph is: the batch comes, one graph is started, the loss goes. */
const REPLAY = {
  ...{ HostToDevice: 2, DeviceToHost: 1, launch: 0, cudaMalloc: 0 },
  ...{ cudaGraphLaunch: 1, cudaStreamBeginCapture: 0 },
};
/** Of the first steps: state that is written into a second buffer has two sets of addresses in turn. */
const FIRST = 4;

(hasPretendCuda() ? describe : describe.skip)('CUDA graphs on a pretend GPU', () => {
  let seen: Seen;
  beforeAll(() => {
    seen = dryRun(SCRIPT);
  });

  it('start one graph for each training step instead of every kernel, and take no memory', () => {
    const later = seen.replayed.steps.slice(FIRST);
    expect(later).toHaveLength(46);
    for (const step of later)
      expect(step).toMatchObject({ ...REPLAY, live: seen.replayed.steps[FIRST]!.live });
    expect(seen.replayed.made).toEqual({ recorded: 4, replayed: 52, plain: 4 });
  });

  it('are recorded on one thread, without anything of the host in them', () => {
    const { steps, elsewhere, changed } = seen.replayed;
    const recording = [...steps, ...elsewhere, ...changed].filter(
      ({ cudaStreamBeginCapture: began }) => began > 0,
    );
    expect(recording).toHaveLength(6);
    for (const step of recording)
      expect(step).toMatchObject({
        ...{ 'recorded copy of the host': 0, 'recorded call of the host': 0 },
        ...{ 'refused while recording': 0, threads: 1 },
      });
  });

  it('are recorded anew for other tensors and for another length, and stay for the first ones', () => {
    const { elsewhere, changed, again } = seen.replayed;
    for (const steps of [elsewhere, changed]) {
      const began = steps.map(({ cudaStreamBeginCapture }) => cudaStreamBeginCapture);
      expect(began).toEqual([0, 0, 1, 1, 0]);
      expect(steps.at(-1)).toMatchObject(REPLAY);
    }
    expect(again).toMatchObject(REPLAY);
  });

  it('are not made of a program that reads from the host at every run, which says so', () => {
    const { runs, made } = seen.unrecordable;
    // Parts of unequal lengths: where each lies comes from the host.
    for (const run of runs) expect(run.HostToDevice).toBeGreaterThan(0);
    expect(runs.at(-1)).toMatchObject({ cudaGraphLaunch: 0, cudaStreamBeginCapture: 0 });
    expect(made).toEqual({ ...{ recorded: 0, replayed: 0, plain: 0 }, unrecordable: 'Concat' });
  });

  it('are not recorded while programs are made', () => {
    expect(seen.beside).toMatchObject({ cudaStreamBeginCapture: 1, 'refused while recording': 0 });
  });

  it('that CUDA refuses leave the state as it was, and say what to do', () => {
    const environment = { PRETEND_CUDA_RECORDING: '0' };
    expect(dryRun(SCRIPT, { args: ['refused'], environment })).toMatchObject({
      code: 'RUN_FAILED',
      message: expect.stringContaining('step: its run could not be recorded as a CUDA graph'),
      hint: expect.stringContaining('cudaGraphs: false'),
      values: [1, 2, 3, 4],
    });
  });
});
