import { relative, sep } from 'node:path';
import { SpatialError } from '@spatialsv/core';
import type { ColmapImage, ColmapModel, ColmapObservation } from './colmap-model.js';
import type { ExportedFile } from './label-set.js';

/**
 * The three text files of a sparse model (https://colmap.github.io/format.html). Ids count from 1 and are the same for
 * a camera and its image.
 * @param imageFolder what image names are relative to: the `--image_path` of COLMAP.
 * @throws SpatialError DATA_INVALID for an image whose name has white space, at which COLMAP cuts it off.
 */
export function colmapText(model: ColmapModel, imageFolder: string): ExportedFile[] {
  return [
    { name: 'cameras.txt', data: camerasText(model) },
    { name: 'images.txt', data: imagesText(model, imageFolder) },
    { name: 'points3D.txt', data: pointsText(model) },
  ];
}

function camerasText({ cameras }: ColmapModel): string {
  const lines = cameras.map(({ width, height, parameters }, view) =>
    [view + 1, 'PINHOLE', width, height, ...parameters].join(' '),
  );
  return join(
    [
      'Camera list with one line of data per camera:',
      '  CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]',
    ],
    lines,
  );
}

function imagesText({ images }: ColmapModel, imageFolder: string): string {
  const lines = images.flatMap((image, view) => [
    imageLine(image, view + 1, imageFolder),
    image.observations.map(observationText).join(' '),
  ]);
  const head = [
    'Image list with two lines of data per image:',
    '  IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME',
    '  POINTS2D[] as (X, Y, POINT3D_ID)',
  ];
  return join(head, lines);
}

const imageLine = (
  { quaternion, translation, file }: ColmapImage,
  id: number,
  imageFolder: string,
): string => [id, ...quaternion, ...translation, id, imageName(file.path, imageFolder)].join(' ');

function imageName(path: string, folder: string): string {
  const name = relative(folder, path).split(sep).join('/');
  if (!/\s/.test(name)) return name;
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `${path}: COLMAP reads the name of an image up to the first space, found "${name}"`,
    hint: 'Rename the image or its folder without spaces and label it again, or export to another format.',
  });
}

const observationText = ({ x, y, point }: ColmapObservation): string =>
  `${x.toFixed(4)} ${y.toFixed(4)} ${point + 1}`;

function pointsText({ points }: ColmapModel): string {
  const lines = points.map(({ position, color, track }, index) => {
    const elements = track.flatMap(({ image, observation }) => [image + 1, observation]);
    // Nine digits hold a float32 exactly.
    const place = position.map((value) => Number(value.toPrecision(9)));
    return [index + 1, ...place, ...color, 0, ...elements].join(' ');
  });
  const head = [
    '3D point list with one line of data per point:',
    '  POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[] as (IMAGE_ID, POINT2D_IDX)',
  ];
  return join(head, lines);
}

const join = (comments: readonly string[], lines: readonly string[]): string =>
  [...comments.map((comment) => `# ${comment}`), ...lines, ''].join('\n');
