import { liftPhotos } from '../lift-file.js';
import type { PageAnswer } from '../report/format.js';
import type { Report, ReportScene } from '../report/report.js';
import { testScene } from '../test-scene.js';
import { testLabels } from './test-labels.js';

/** Text that would run if a page took it as markup. */
export const HOSTILE = `</script><script>window.hacked = true</script><img src=x onerror="window.hacked = true">`;

/** Two scenes, the second one seen by one of two models alone, and three questions about them. @param folder for images. */
export async function testReport(folder: string): Promise<Report> {
  const { labels } = await testLabels(folder);
  const { conventions, views, height, width, depth, rays, confidence, images } = testScene(3);
  const maps = { conventions, views, height, width, depth, rays, depthConfidence: confidence };
  const far = { ...maps, depth: depth.map((value) => value * 1.1) };
  const photos = await liftPhotos(images);
  const scenes: Record<string, ReportScene> = {
    a: { photos, predictions: [{ maps }, { maps: far }], labels },
    b: { photos, predictions: [undefined, { maps: far }] },
  };
  const answer = (read: string, score: number, depthRmse: number): PageAnswer => ({
    ...{ text: `It is ${read}.`, read, score, depthRmse },
  });
  const options = [
    { letter: 'A', text: 'near' },
    { letter: 'B', text: `far ${HOSTILE}` },
  ];
  const question = { options, expected: 'A' };
  return {
    title: `A report ${HOSTILE}`,
    runs: [
      { name: 'base', facts: [{ name: 'Checkpoint', value: HOSTILE }] },
      { name: 'spatialsv', facts: [] },
    ],
    questions: [
      {
        ...question,
        ...{ id: 'q1', category: 'rotation', text: `Where? ${HOSTILE}`, scene: 'a' },
        answers: [answer('A', 1, 0), answer('B', 0, 0.2)],
      },
      {
        ...question,
        ...{ id: 'q2', category: 'among', text: 'And where?', scene: 'b' },
        answers: [{ ...answer('B', 0, 0.3), text: HOSTILE }, answer('A', 1, 0.1)],
      },
      {
        ...question,
        ...{ id: 'q3', category: 'among', text: 'Nothing to see.' },
        answers: [answer('A', 1, 0.5), null],
      },
    ],
    files: [],
    sceneKeys: ['a', 'b'],
    scene: async (key) => scenes[key]!,
  };
}
