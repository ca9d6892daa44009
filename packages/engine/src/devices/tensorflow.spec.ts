import { EngineError } from '../errors.js';
import { compileCase, evaluateEagerly, type Table, worst } from '../testing/compare.js';
import { differentiatedInputs, GROUPS } from '../testing/kernel-cases.js';
import { tf } from '../tfjs.js';
import { openDevice } from './index.js';

const missing = reasonAgainst();
if (missing !== undefined) console.warn(`The device "tensorflow" is skipped: ${missing}`);

function reasonAgainst(): string | undefined {
  try {
    openDevice('tensorflow');
    return undefined;
  } catch (error) {
    if (error instanceof EngineError) return error.message;
    throw error;
  }
}

/** What TensorFlow refuses: integers divided by 0, and padding of `tf.conv2d` in numbers. */
const REFUSED = new Set([
  'floorDiv and mod of large integers, by 0 and by -1',
  '3×3 stride 2 pad 1',
]);
const taken = GROUPS.map(
  ([group, table]) => [group, table.filter(([name]) => !REFUSED.has(name))] as const,
);

/** TensorFlow adds up in another order than tfjs. */
const TOLERANCE = 1e-4;

async function expectAsOnCpu(row: Table[number]): Promise<void> {
  const [, program, given] = row;
  const inputs = differentiatedInputs(row);
  const compiled = await compileCase(program, given, inputs, { device: 'tensorflow' });
  try {
    const found = await compiled.at(0, undefined);
    const expected = await evaluateEagerly(program, compiled, inputs);
    expect(found.value.shape).toEqual(expected.value.shape);
    expect(worst(found.value, expected.value)).toBeLessThan(TOLERANCE);
    for (const by of inputs)
      expect(worst(found.gradients[by]!, expected.gradients[by]!)).toBeLessThan(TOLERANCE);
  } finally {
    await compiled.dispose();
  }
}

(missing === undefined ? it.skip : it)('says what is missing and what installs it', () => {
  const hint = expect.stringContaining(`@tensorflow/tfjs-node@${tf.version.tfjs}`);
  expect(() => openDevice('tensorflow')).toThrow(
    expect.objectContaining({ code: 'DEVICE_UNAVAILABLE', hint }),
  );
});

(missing === undefined ? describe : describe.skip)('the device "tensorflow"', () => {
  describe.each(taken)('%s operations', (_group, table) => {
    test.each(table)('%s and its gradients equal those of tfjs on the CPU', (...row) =>
      expectAsOnCpu(row as Table[number]),
    );
  });
});
