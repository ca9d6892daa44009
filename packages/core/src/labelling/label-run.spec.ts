import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SpatialError } from '../errors.js';
import { writePng } from '../images/index.js';
import { LabelStore } from '../label-store/index.js';
import { createProcessOwner } from '../process-owner.js';
import { createRandom } from '../random.js';
import type { GeometryLabelsV1, LabellerV1 } from '../spec.js';
import { type LabelRunRequest, labelViewSets } from './label-run.js';
import { type ViewSet, viewSetsOfSamples } from './view-sets.js';

const root = mkdtempSync(join(tmpdir(), 'spatialsv-labelling-'));
const files = Array.from({ length: 6 }, (_, i) => join(root, `${i}.png`));
const sets: ViewSet[] = [files.slice(0, 2), files.slice(2, 4), files.slice(4, 6)].map((images) => ({
  images,
}));
const stores: LabelStore[] = [];

beforeAll(async () => {
  for (const [i, file] of files.entries()) {
    await writePng(file, new Uint8Array(5 * 7 * 3).fill(i), { width: 7, height: 5, channels: 3 });
  }
});
afterAll(async () => {
  for (const store of stores) await store.close();
  rmSync(root, { recursive: true });
});

async function newStore(): Promise<LabelStore> {
  const store = await LabelStore.open(mkdtempSync(join(root, 'store-')));
  stores.push(store);
  return store;
}

/** A flat wall at a depth that depends on the call. */
function wall(views: number, depth: number): GeometryLabelsV1 {
  const [height, width] = [4, 6];
  return {
    conventions: {
      axes: 'opencv',
      extrinsics: 'world-to-camera',
      pixelCentre: 'half',
      depth: 'z-depth',
      scale: 'metric-metres',
      world: 'first-camera',
    },
    views,
    height,
    width,
    depth: new Float32Array(views * height * width).fill(depth),
    mask: new Uint8Array(views * height * width).fill(1),
    intrinsics: Float32Array.from(Array(views).fill([6, 0, 3, 0, 6, 2, 0, 0, 1]).flat()),
    extrinsicsWorldToCamera: Float32Array.from(
      Array(views).fill([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]).flat(),
    ),
  };
}

interface Toy extends LabellerV1 {
  readonly calls: string[];
}

function toy(make: LabellerV1['doLabel'] = async ({ images }) => wall(images.length, 2)): Toy {
  const calls: string[] = [];
  return {
    sourceId: 'toy',
    provides: ['depth', 'camera'],
    provenance: {
      source: 'toy',
      model: 'wall',
      settings: {},
      licence: { name: 'MIT', commercialUse: true },
    },
    calls,
    async doLabel(request) {
      calls.push(request.images[0]!);
      return make(request);
    },
    async dispose() {},
  };
}

const run = (store: LabelStore, labeller: LabellerV1, rest: Partial<LabelRunRequest> = {}) =>
  labelViewSets({ sets, store, labeller, pollMs: 5, ...rest });

describe('labelViewSets', () => {
  it('stores what the source says, with images and provenance', async () => {
    const store = await newStore();
    const labeller = toy();
    const result = await run(store, labeller, { height: 4, width: 6 });
    expect(result).toMatchObject({ sets: 3, written: 3, views: 6, present: 0, complete: true });
    expect(store.count).toBe(3);
    const all = [...store.keys()].map((key) => store.read(key)!);
    const first = all.find(({ images }) => images[0]!.path === files[0])!;
    expect(first.images).toMatchObject([
      { path: files[0], width: 7, height: 5, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
      { path: files[1] },
    ]);
    expect(first.provenance).toEqual(labeller.provenance);
    expect(first.labels.depth).toEqual(wall(2, 2).depth);
  });

  it('stores nothing for an image that is replaced while it is labelled', async () => {
    const store = await newStore();
    const image = join(root, 'replaced.png');
    const fill = (value: number) =>
      writePng(image, new Uint8Array(3).fill(value), { width: 1, height: 1, channels: 3 });
    await fill(1);
    const replacing = toy(async ({ images }) => {
      await fill(2);
      return wall(images.length, 2);
    });
    const result = await run(store, replacing, { sets: [{ images: [image] }] });
    expect(result).toMatchObject({ written: 0, failures: [{ code: 'DATA_INVALID' }] });
    expect(result.failures[0]!.message).toContain(image);
    expect(store.count).toBe(0);
  });

  it('labels the images of every sample, whatever their ids are', async () => {
    const store = await newStore();
    const samples = sets.map(({ images }) => ({ id: 'same', images }));
    const result = await run(store, toy(), { sets: viewSetsOfSamples(samples) });
    expect(result).toMatchObject({ sets: 3, written: 3 });
  });

  it('passes over what is there, and replaces it when forced', async () => {
    const store = await newStore();
    await run(store, toy(), { sets: sets.slice(0, 2) });
    const plans: unknown[] = [];
    const again = toy(async ({ images }) => wall(images.length, 3));
    const onStart = (plan: unknown) => plans.push(plan);
    const second = await run(store, again, { observer: { onStart } });
    expect(second).toMatchObject({ written: 1, present: 2 });
    expect(plans).toEqual([{ present: 2, missing: 1 }]);
    expect(again.calls).toEqual([files[4]]);
    const forced = await run(store, again, { force: true });
    expect(forced).toMatchObject({ written: 3, present: 0 });
    for (const key of store.keys()) expect(store.read(key)!.labels.depth[0]).toBe(3);
  });

  it('asks for another key when a setting or the size differs', async () => {
    const store = await newStore();
    const labeller = toy();
    await run(store, labeller);
    await run(store, labeller, { height: 4, width: 6 });
    const provenance = { ...labeller.provenance, settings: { step: 2 } };
    await run(store, { ...labeller, provenance });
    expect(store.count).toBe(9);
  });
});

describe('a set that cannot be labelled', () => {
  const broken = join(root, 'broken.png');
  const cut = join(root, 'cut.png');
  beforeAll(async () => {
    writeFileSync(broken, 'no image');
    const random = createRandom(0);
    const noise = Uint8Array.from({ length: 3000 }, () => random.uniform(0, 256));
    await writePng(cut, noise, { width: 40, height: 25, channels: 3 });
    writeFileSync(cut, readFileSync(cut).subarray(0, 900));
  });

  it.each([
    ['missing', 'FILE_MISSING', () => join(root, 'gone.png')],
    ['no image', 'IMAGE_INVALID', () => broken],
    ['cut off', 'IMAGE_INVALID', () => cut],
  ] as const)('because an image is %s is skipped or ends the run', async (_, code, path) => {
    const store = await newStore();
    const bad = [{ images: [files[0]!, path()] }, ...sets];
    const { failures, ...result } = await run(store, toy(), { sets: bad });
    expect(result).toMatchObject({ sets: 4, written: 3, skipped: 1, rejected: 0 });
    expect(failures).toMatchObject([{ stage: 'image', code, images: bad[0]!.images }]);
    expect(failures[0]!.message).toContain(path());
    await expect(
      run(await newStore(), toy(), { sets: bad, onError: 'fail' }),
    ).rejects.toMatchObject({ code, message: expect.stringContaining(path()) });
  });

  it('because its labels are refused is counted apart, with the reason', async () => {
    const store = await newStore();
    const labeller = toy(async ({ images }) => {
      const labels = wall(images.length, 2);
      if (images[0] === files[2]) labels.extrinsicsWorldToCamera[0] = 2;
      return images[0] === files[4] ? wall(5, 2) : labels;
    });
    const { failures, ...result } = await run(store, labeller);
    expect(result).toMatchObject({ written: 1, skipped: 0, rejected: 2 });
    expect(failures.map(({ stage, code }) => [stage, code])).toEqual([
      ['labels', 'DATA_INVALID'],
      ['labels', 'DATA_INVALID'],
    ]);
    expect(failures[0]!.message).toContain('orthonormal');
    expect(failures[0]!.message).toContain(files[2]);
    expect(failures[1]!.message).toContain('expected 2 views, found 5');
    expect(store.count).toBe(1);
  });

  it('leaves no claim behind', async () => {
    const store = await newStore();
    const no = toy(async () => {
      throw new SpatialError({ code: 'DATA_INVALID', message: 'no geometry', hint: 'none' });
    });
    const { failures } = await run(store, no);
    expect(failures.map(({ stage }) => stage)).toEqual(['source', 'source', 'source']);
    for (const { key } of failures) expect(store.claimOf(key!)).toBeUndefined();
  });
});

describe('an error that every set would have', () => {
  it('ends the run', async () => {
    const store = await newStore();
    const wrong = toy(async () => {
      throw new SpatialError({ code: 'WEIGHT_MISSING', message: 'no weights', hint: 'none' });
    });
    await expect(run(store, wrong)).rejects.toMatchObject({ code: 'WEIGHT_MISSING' });
    expect(wrong.calls).toHaveLength(1);
    await expect(
      run(
        store,
        toy(() => Promise.reject(new TypeError('defect'))),
      ),
    ).rejects.toThrow('defect');
  });
});

describe('a store that cannot be written', () => {
  it('ends the run, also where sets are skipped', async () => {
    const store = await newStore();
    const full = new SpatialError({ code: 'DATA_INVALID', message: 'disk full', hint: 'none' });
    const labeller = toy();
    const failing = new Proxy(store, {
      get: (target, name) => {
        if (name === 'write') return () => Promise.reject(full);
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    await expect(run(failing, labeller)).rejects.toBe(full);
    expect(labeller.calls.length).toBeLessThan(3);
  });
});

describe('two failures', () => {
  it('are both named, whichever comes while the other is dealt with', async () => {
    const store = await newStore();
    const failing = new Proxy(store, {
      get: (target, name) => {
        if (name === 'release') return () => Promise.reject(new Error('disk gone'));
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const labeller = toy(() => Promise.reject(new Error('defect of the source')));
    await expect(run(failing, labeller)).rejects.toThrow(/defect of the source.*disk gone/);
  });
});

describe('a run that is stopped', () => {
  it('keeps what is finished, gives the set under way up, and goes on later', async () => {
    const store = await newStore();
    const controller = new AbortController();
    const stopping = toy(async ({ images, signal }) => {
      if (images[0] === files[2]) controller.abort();
      signal?.throwIfAborted();
      return wall(images.length, 2);
    });
    const stopped = await run(store, stopping, { signal: controller.signal });
    expect(stopped).toMatchObject({ written: 1, skipped: 0, failures: [], complete: false });
    const going = toy();
    const result = await run(store, going);
    expect(result).toMatchObject({ written: 2, present: 1, complete: true });
    expect(going.calls).toEqual([files[2], files[4]]);
  });
});

/** Where each waits until so many have come. */
function meetingOf(count: number): () => Promise<void> {
  let missing = count;
  let open = (): void => undefined;
  const all = new Promise<void>((resolve) => {
    open = resolve;
  });
  return () => {
    missing -= 1;
    if (missing === 0) open();
    return all;
  };
}

describe('runs that share a store', () => {
  it('label each set once', async () => {
    const store = await newStore();
    const many = files.map((image) => ({ images: [image] }));
    // Each is at its first set, and then at its second, while the other one is.
    const meetings = [meetingOf(2), meetingOf(2)];
    const meeting = () => {
      const own = [...meetings];
      return toy(async ({ images }) => {
        await own.shift()?.();
        return wall(images.length, 2);
      });
    };
    const [a, b] = [meeting(), meeting()];
    const results = await Promise.all(
      [a, b].map((labeller) => run(store, labeller, { sets: many })),
    );
    expect([...a.calls, ...b.calls].sort()).toEqual(files);
    expect(a.calls.length).toBeGreaterThan(1);
    expect(b.calls.length).toBeGreaterThan(1);
    for (const { written, present } of results) expect(written + present).toBe(6);
  });

  it('wait for sets that others hold, and take those over that they give back', async () => {
    const store = await newStore();
    const { failures } = await run(
      store,
      toy(() => Promise.reject(noGeometry())),
      {
        sets: sets.slice(0, 1),
      },
    );
    const key = failures[0]!.key!;
    const other = createProcessOwner();
    await store.claim(key, other);
    const waits: number[] = [];
    const onWait = (held: number) => {
      waits.push(held);
      if (waits.length === 3) void store.release(key, other);
    };
    const result = await run(store, toy(), { observer: { onWait } });
    expect(result).toMatchObject({ written: 3, complete: true });
    expect(waits.length).toBeGreaterThanOrEqual(3);
    expect(new Set(waits)).toEqual(new Set([1]));
  });
});

const noGeometry = () =>
  new SpatialError({ code: 'DATA_INVALID', message: 'no geometry', hint: 'none' });
