import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { GraphFile } from '@spatialsv/core/kit';
import { parseManifest } from './manifest.js';
import { makePlan } from './plan.js';

type Ports = Pick<GraphFile, 'path' | 'inputs' | 'outputs'>;
const ports = (entries: Readonly<Record<string, readonly number[]>>) =>
  Object.entries(entries).map(([name, shape]) => ({ name, shape, dtype: 'float32' as const }));

const MAP = [1, -1, -1, -1];
const GRAPHS: readonly Ports[] = [
  {
    path: 'onnx/model.onnx',
    inputs: ports({ pixel_values: [1, -1, 3, -1, -1] }),
    outputs: ports({
      predicted_depth: MAP,
      confidence: MAP,
      extrinsics: [1, -1, 3, 4],
      intrinsics: [1, -1, 3, 3],
    }),
  },
  {
    path: 'vggt.onnx',
    inputs: ports({ images: [1, 2, 3, 518, 518] }),
    outputs: ports({
      pose_enc: [1, 2, 9],
      depth: [1, 2, 518, 518, 1],
      depth_conf: [1, 2, 518, 518],
    }),
  },
];

describe('the descriptions of the README', () => {
  const text = readFileSync(path.join(__dirname, '../README.md'), 'utf8');
  const described = [...text.matchAll(/```json\n([\s\S]*?)```/g)].map(([, json]) =>
    parseManifest(JSON.parse(json!), 'README.md'),
  );

  it('are two', () => expect(described).toHaveLength(2));

  it.each([0, 1])('are complete: number %d says what the source finds by itself', (index) => {
    const manifest = described[index]!;
    expect(manifest.graph).toBe(GRAPHS[index]!.path);
    expect(makePlan(GRAPHS[index]!, manifest)).toEqual(makePlan(GRAPHS[index]!, {}));
  });
});
