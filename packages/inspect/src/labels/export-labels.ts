import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type LabelProvenanceV1, labelMaps, type RgbImage, readImage } from '@spatialsv/core';
import { type CameraFile, cameraFile } from '../cameras.js';
import { valueRange } from '../color-map.js';
import { encodeGlb } from '../glb.js';
import { encodePly } from '../ply.js';
import { buildPointCloud, type PointCloud } from '../point-cloud.js';
import { camerasOfLabels } from '../view-cameras.js';
import { colmapFiles } from './colmap-files.js';
import type { ColmapOptions } from './colmap-model.js';
import { depthImages, depthStep } from './depth-images.js';
import { cloudInput, type ExportedFile, type LabelImage, type LabelSet } from './label-set.js';
import { writeLabelTensors } from './label-tensors.js';

export const LABEL_FORMATS = ['png', 'ply', 'glb', 'safetensors', 'colmap'] as const;
export type LabelFormat = (typeof LABEL_FORMATS)[number];

export interface LabelExportOptions {
  readonly formats: readonly LabelFormat[];
  readonly colmap?: ColmapOptions;
}

export interface LabelExport {
  /** Every written file, relative to the folder. */
  readonly files: readonly string[];
  /** What to tell the user about these files. */
  readonly notes: readonly string[];
}

/** What `labels.json` holds. */
export interface LabelFile extends CameraFile {
  readonly key: string;
  readonly provenance: LabelProvenanceV1;
  readonly images: readonly LabelImage[];
  /** Depth of one step of the 16-bit images; 0 there is no depth. */
  readonly depthStep16Bit: number;
}

/**
 * Writes a labelled view set into a folder: `labels.json` (cameras, conventions, provenance and licence) and, by format,
 * `depth/view-N.png` and `depth/view-N-16bit.png`, `points.ply`, `scene.glb`, `labels.safetensors`, and
 * `colmap/{cameras,images,points3D}.txt`. Colours come from the images, which are read where a format needs them.
 * @throws SpatialError FILE_MISSING | IMAGE_INVALID for an image that cannot be read, CONVENTION_MISMATCH unless depth is
 *   z-depth, DATA_INVALID for an image whose name COLMAP cannot read.
 */
export async function exportLabels(
  set: LabelSet,
  folder: string,
  { formats, colmap }: LabelExportOptions,
): Promise<LabelExport> {
  const wants = (format: LabelFormat) => formats.includes(format);
  const needsPhotos = wants('ply') || wants('glb') || wants('colmap');
  const photos = needsPhotos ? await readPhotos(set) : [];
  const files: ExportedFile[] = [labelFile(set)];
  if (wants('png')) files.push(...(await depthImages(set.labels)));
  if (wants('ply') || wants('glb')) files.push(...(await cloudFiles(set, photos, wants)));
  const model = wants('colmap') ? await colmapFiles(set, photos, colmap) : { files: [], notes: [] };
  const written = [...files, ...model.files];
  await writeAll(folder, written);
  const names = written.map(({ name }) => name);
  if (!wants('safetensors')) return { files: names, notes: model.notes };
  await writeLabelTensors(join(folder, 'labels.safetensors'), set);
  return { files: [...names, 'labels.safetensors'], notes: model.notes };
}

async function readPhotos({ images }: LabelSet): Promise<RgbImage[]> {
  const photos: RgbImage[] = [];
  for (const { path } of images) photos.push(await readImage(path));
  return photos;
}

function labelFile({ key, labels, provenance, images }: LabelSet): ExportedFile {
  const paths = images.map(({ path }) => path);
  const content: LabelFile = {
    key,
    provenance,
    images,
    depthStep16Bit: depthStep(labels),
    ...cameraFile(camerasOfLabels(labels), labels.conventions, 'label', paths),
  };
  return { name: 'labels.json', data: `${JSON.stringify(content, null, 2)}\n` };
}

/** Length of the frusta as a share of the largest depth. */
const FRUSTUM_SHARE = 0.2;

async function cloudFiles(
  { labels, provenance }: LabelSet,
  photos: readonly RgbImage[],
  wants: (format: LabelFormat) => boolean,
): Promise<ExportedFile[]> {
  const { conventions } = labels;
  const cloud: PointCloud = buildPointCloud(cloudInput(labels, labelMaps(labels).points, photos));
  const frame = `${conventions.world === 'first-camera' ? 'first camera' : 'source'}, unit ${conventions.scale}`;
  const licence = `labels by ${provenance.source} ${provenance.model}, licence ${provenance.licence.name}`;
  const files: ExportedFile[] = [];
  if (wants('ply')) {
    const comments = [`axes OpenCV: x right, y down, z forward; world ${frame}`, licence];
    files.push({ name: 'points.ply', data: encodePly(cloud, comments) });
  }
  if (wants('glb')) {
    const frustumDepth = FRUSTUM_SHARE * valueRange(labels.depth, labels.mask).max;
    const extras = { world: frame, licence };
    const cameras = camerasOfLabels(labels);
    files.push({
      name: 'scene.glb',
      data: await encodeGlb({ cloud, cameras, frustumDepth, extras }),
    });
  }
  return files;
}

async function writeAll(folder: string, files: readonly ExportedFile[]): Promise<void> {
  for (const { name, data } of files) {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, data);
  }
}
