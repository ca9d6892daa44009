import {
  cameraCentre,
  cameraOfView,
  cameraStack,
  fovFromIntrinsics,
  type LabelSummary,
  type StoredLabels,
} from '@spatialsv/core';
import { formatTable } from '../context.js';
import { formatBytes } from '../format-bytes.js';
import { describeImages, describeLicence } from './label-report.js';
import { shortKey } from './store-keys.js';

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** One line for each view set. */
export function storeTable(summaries: readonly LabelSummary[]): string {
  return formatTable([
    ['KEY', 'SOURCE', 'VIEWS', 'SIZE', 'VALID', 'BYTES', 'LICENCE', 'IMAGES'],
    ...summaries.map(({ key, provenance, views, height, width, validShare, bytes, images }) => [
      shortKey(key),
      `${provenance.source} ${provenance.model}`,
      `${views}`,
      `${width}×${height}`,
      percent(validShare),
      formatBytes(bytes),
      provenance.licence.name,
      describeImages(images.map(({ path }) => path)),
    ]),
  ]);
}

/** What the labels of one view say. */
export interface ViewDetail {
  readonly image: string;
  /** Degrees, across and down. */
  readonly fieldOfView: readonly [number, number];
  /** Camera centre in the world frame. */
  readonly centre: readonly number[];
  readonly validShare: number;
  /** Of the valid pixels; absent where there is none. */
  readonly depth?: { readonly min: number; readonly median: number; readonly max: number };
}

export function viewDetails({ labels, images }: StoredLabels): ViewDetail[] {
  const pixels = labels.height * labels.width;
  const cameras = cameraStack(labels);
  return images.map(({ path }, view) => {
    const { intrinsics, extrinsicsWorldToCamera } = cameraOfView(cameras, view);
    const { fovWidthRad, fovHeightRad } = fovFromIntrinsics(intrinsics, labels);
    const valid = labels.depth
      .subarray(view * pixels, (view + 1) * pixels)
      .filter((_, i) => labels.mask[view * pixels + i] === 1)
      .sort();
    const at = (share: number) => valid[Math.round(share * (valid.length - 1))]!;
    return {
      image: path,
      fieldOfView: [fovWidthRad, fovHeightRad].map((rad) => (rad * 180) / Math.PI) as [
        number,
        number,
      ],
      centre: [...cameraCentre(extrinsicsWorldToCamera)],
      validShare: valid.length / pixels,
      ...(valid.length > 0 && { depth: { min: at(0), median: at(0.5), max: at(1) } }),
    };
  });
}

/** Everything that is known of one view set. */
export function describeSet(summary: LabelSummary, views: readonly ViewDetail[]): string {
  const { provenance, conventions, fields } = summary;
  const facts = formatTable([
    ['key', summary.key],
    ['source', `${provenance.source} ${provenance.model}`],
    ['settings', JSON.stringify(provenance.settings)],
    ['weights', provenance.weightsSha256 ?? 'none'],
    ['licence', describeLicence(provenance.licence)],
    ['made', summary.createdAt],
    [
      'conventions',
      Object.entries(conventions)
        .map(([name, value]) => `${name} ${value}`)
        .join(', '),
    ],
    [
      'fields',
      fields.map(({ name, dtype, shape }) => `${name} ${dtype} (${shape.join(', ')})`).join(', '),
    ],
    ['size', `${formatBytes(summary.bytes)}, ${formatBytes(summary.bytes / summary.views)} a view`],
  ]);
  return `${facts}\n${formatTable([VIEW_HEAD, ...views.map(viewRow)])}`;
}

const VIEW_HEAD = [
  'VIEW',
  'FIELD OF VIEW',
  'CENTRE',
  'VALID',
  'DEPTH MIN',
  'MEDIAN',
  'MAX',
  'IMAGE',
];

function viewRow({ image, fieldOfView, centre, validShare, depth }: ViewDetail, view: number) {
  const number = (value: number | undefined) => value?.toPrecision(4) ?? '–';
  return [
    `${view + 1}`,
    fieldOfView.map((degrees) => `${degrees.toFixed(1)}°`).join(' × '),
    // Adding 0 takes the sign off −0.
    centre.map((value) => (Number(value.toFixed(3)) + 0).toFixed(3)).join(' '),
    percent(validShare),
    number(depth?.min),
    number(depth?.median),
    number(depth?.max),
    image,
  ];
}
