import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRandom, writePng } from '@spatialsv/core';
import {
  hasPretendCuda,
  spawnOnPretendCuda,
} from '../../engine/src/testing/pretend-cuda/dry-run.cjs';
import { runForTest } from './testing/test-run.js';

const root = mkdtempSync(join(tmpdir(), 'cuda-commands-'));
const images = ['a', 'b'].map((name) => join(root, `${name}.png`));
afterAll(() => rmSync(root, { recursive: true }));

interface Counts {
  readonly launch: number;
  readonly product: number;
  readonly 'product bfloat16': number;
  readonly 'product float16': number;
  readonly convolution: number;
  readonly HostToDevice: number;
  readonly DeviceToHost: number;
  readonly threads: number;
}

/** A command of the built program on a pretend GPU, which computes nothing. */
function run(...args: string[]): { readonly stderr: string; readonly counts: Counts } {
  const count = join(__dirname, '__fixtures__/count-cuda.mjs');
  const main = join(__dirname, '../dist/main.js');
  const { stderr } = spawnOnPretendCuda(['--import', count, main, ...args, '--device', 'cuda']);
  return { stderr, counts: JSON.parse(stderr.trim().split('\n').at(-1)!) as Counts };
}

(hasPretendCuda() ? describe : describe.skip)('commands on a pretend GPU', () => {
  beforeAll(async () => {
    const random = createRandom(1);
    for (const image of images) {
      const data = Uint8Array.from({ length: 3 * 56 * 56 }, () => random.integer(256));
      await writePng(image, data, { width: 56, height: 56, channels: 3 });
    }
  });

  it('answer wholly there: of each token the logits come back', async () => {
    const model = join(root, 'model');
    const size = ['--hidden-size', '32', '--layers', '2', '--attention-heads', '2'];
    await runForTest(['tiny', '--family', 'qwen2.5-vl', '--out', model, ...size]);
    const ask = ['ask', '--model', model, '--images', images[0]!, '--question', 'What?'];
    const [two, four] = ['2', '4'].map((n) => run(...ask, '--max-new-tokens', n).counts);
    expect(four).toMatchObject({ threads: 1 });
    expect(four!.product).toBeGreaterThan(two!.product);
    // Two tokens more.
    expect(four!.DeviceToHost - two!.DeviceToHost).toBe(2);
    // What the encoder says of the view, and the logits of each token.
    expect(four!.DeviceToHost).toBe(5);
  });

  it('label wholly there: weights come once, and then images alone', async () => {
    const weights = join(root, 'vggt');
    await runForTest(['tiny', '--family', 'vggt', '--out', weights]);
    const label = (n: number, precision: string) =>
      run(
        ...['label', '--source', 'vggt', '--weights', weights, '--views', '1'],
        ...['--images', ...images.slice(0, n), '--out', join(root, `labels-${n}-${precision}`)],
        ...['--precision', precision],
      );
    const [one, two] = [1, 2].map((n) => label(n, 'float32'));
    // Nothing is computed, so there is no camera in what comes back: the network ran to its end.
    expect(two!.stderr).toMatch(/expected a rotation and fields of view/);
    const [first, all] = [one!.counts, two!.counts];
    expect(first.convolution).toBeGreaterThan(20);
    expect(all).toMatchObject({ convolution: 2 * first.convolution, threads: 1 });
    // Besides images, tables of addresses that products of several matrices take; hundreds of weights only once.
    expect(all.HostToDevice - first.HostToDevice).toBeLessThan(first.HostToDevice / 5);
    expect(all.DeviceToHost).toBe(2 * first.DeviceToHost);
    for (const precision of ['bfloat16', 'float16'] as const) {
      const { counts, stderr } = label(1, precision);
      expect(stderr).toMatch(/expected a rotation and fields of view/);
      const { convolution, product, DeviceToHost } = first;
      expect(counts).toMatchObject({ convolution, product, DeviceToHost });
      // All of the aggregator's: cameras stay float32, as in the original.
      expect(counts[`product ${precision}`]).toBe(142);
      expect(first[`product ${precision}`]).toBe(0);
    }
  });
});
