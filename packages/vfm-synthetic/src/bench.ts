import { createScene } from './create-scene.js';
import { renderGeometry, renderView } from './render-view.js';
import { MOTIONS, type Scene } from './scene.js';

export interface RenderBenchmark {
  readonly width: number;
  readonly height: number;
  /** Images with depth and instances, one core, without PNG encoding. */
  readonly viewsPerSecond: number;
  /** Depth and instances alone. */
  readonly labelsPerSecond: number;
}

/** Renders views of twelve rooms for about `seconds` of processor time each way, after a warm-up. */
export const benchRender = ({ width = 224, height = 224, seconds = 2 } = {}): RenderBenchmark => {
  const scenes = Array.from({ length: 12 }, (_, k) =>
    createScene(k, { motion: MOTIONS[k % 3]!, objects: [5, 12] }),
  );
  const size = { width, height };
  return {
    width,
    height,
    viewsPerSecond: rate(scenes, seconds, (scene, camera) => renderView(scene, camera, size)),
    labelsPerSecond: rate(scenes, seconds, (scene, camera) => renderGeometry(scene, camera, size)),
  };
};

/** Processor time, not wall time, so that a busy machine does not count against the renderer. */
const rate = (
  scenes: readonly Scene[],
  seconds: number,
  render: (scene: Scene, camera: Scene['cameras'][number]) => unknown,
): number => {
  const all = scenes.flatMap((scene) => scene.cameras.map((camera) => ({ scene, camera })));
  const pass = (): void => {
    for (const { scene, camera } of all) render(scene, camera);
  };
  pass();
  const start = process.cpuUsage();
  let used = 0;
  let passes = 0;
  do {
    pass();
    passes++;
    const { user, system } = process.cpuUsage(start);
    used = (user + system) / 1e6;
  } while (used < seconds);
  return (passes * all.length) / used;
};
