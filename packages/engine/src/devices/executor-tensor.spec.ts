import { environment } from '../executor/environment.js';
import { DeviceValue, type ElementType, type HostMemory, liveHandles } from '../executor/index.js';
import { ExecutorTensor } from './executor-tensor.js';

/** Uploads under way: each ends when it is told to. */
const mockUploads: { readonly end: () => void; readonly fail: (reason: Error) => void }[] = [];

/** Memory of the CPU that passes for that of a GPU, which not every machine has. */
jest.mock('../executor/transfer.js', () => ({
  ...jest.requireActual('../executor/transfer'),
  uploadFromHost: async (_: HostMemory, dtype: ElementType, shape: readonly number[]) => {
    await new Promise<void>((end, fail) => {
      mockUploads.push({ end, fail });
    });
    return DeviceValue.allocateWith(environment().allocator, 'webgpu', dtype, shape);
  },
}));

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

const onHost = () =>
  new ExecutorTensor(
    { shape: [2], dtype: 'float32' },
    DeviceValue.fromHost(Float32Array.of(1, 2), 'float32', [2]),
  );

beforeEach(() => {
  mockUploads.length = 0;
});

describe('ExecutorTensor', () => {
  it('is uploaded once by two first uses at the same time', async () => {
    const before = liveHandles();
    const tensor = onHost();
    const uses = [tensor.resident('webgpu'), tensor.resident('webgpu')];
    await turn();
    expect(mockUploads).toHaveLength(1);
    mockUploads[0]!.end();
    const [first, second] = await Promise.all(uses);
    expect(first).toBe(second);
    expect(first!.disposed).toBe(false);
    tensor.dispose();
    expect(liveHandles()).toBe(before);
  });

  it('keeps its value when an upload fails, and may try again', async () => {
    const tensor = onHost();
    const failed = tensor.resident('webgpu');
    await turn();
    mockUploads[0]!.fail(new Error('no memory'));
    await expect(failed).rejects.toThrow('no memory');
    expect(Array.from(await tensor.read())).toEqual([1, 2]);
    const again = tensor.resident('webgpu');
    await turn();
    mockUploads[1]!.end();
    expect((await again).device).toBe('webgpu');
    tensor.dispose();
  });

  it('leaves nothing behind when it is disposed during an upload', async () => {
    const before = liveHandles();
    const tensor = onHost();
    const use = tensor.resident('webgpu');
    await turn();
    tensor.dispose();
    mockUploads[0]!.end();
    await expect(use).rejects.toMatchObject({ code: 'DISPOSED' });
    expect(liveHandles()).toBe(before);
  });

  it('gives up the spare of the memory that it leaves', async () => {
    const before = liveHandles();
    const tensor = onHost();
    await tensor.next();
    const use = tensor.resident('webgpu');
    await turn();
    mockUploads[0]!.end();
    await use;
    tensor.dispose();
    expect(liveHandles()).toBe(before);
  });
});
