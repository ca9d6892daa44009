/** Numbers of a lift as rows of its page. */
import type { HeadAgreement } from './agreement.js';
import type { ViewCamera } from './cameras.js';
import type { CloudMetrics } from './cloud-metrics.js';
import type { PageFact } from './report/format.js';

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** @param unit symbol after a length; relative lengths have none. */
export function cloudRows({ threshold, raw, aligned }: CloudMetrics, unit: string): PageFact[] {
  const length = (value: number) => `${value.toFixed(3)} ${unit}`.trim();
  const rows = [
    { name: 'Chamfer distance', value: length(raw.chamfer) },
    { name: `F-score at ${length(threshold)}`, value: percent(raw.fScore) },
  ];
  if (aligned === undefined) return rows;
  return [
    ...rows,
    { name: 'Chamfer, clouds aligned', value: length(aligned.chamfer) },
    { name: 'F-score, clouds aligned', value: percent(aligned.fScore) },
  ];
}

/** How well the rays of each view agree on its camera. */
export const cameraRows = (cameras: readonly (ViewCamera | undefined)[]): PageFact[] =>
  cameras.flatMap((camera, view) =>
    camera?.fit === undefined
      ? []
      : [
          {
            name: `Camera of view ${view + 1}`,
            value: `${percent(camera.fit.inlierShare)} of rays agree, to ${camera.fit.residualDeg.toFixed(2)}°`,
          },
        ],
  );

/** How far the heads are from each other, as a share of the distance of the scene. */
export const agreementRows = (views: readonly HeadAgreement[]): PageFact[] =>
  views.map(({ relative }, view) => ({
    name: `Heads of view ${view + 1} apart`,
    value: percent(relative),
  }));
