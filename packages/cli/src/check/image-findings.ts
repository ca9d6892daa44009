import { type BackboneV1, type ImageHeader, readImage, SpatialError } from '@spatialsv/core';
import { type Finding, findingOf } from '@spatialsv/core/host';

export interface ImageChecks {
  /** The model that will see the images. */
  readonly backbone?: BackboneV1 | undefined;
  /** Decode every image, not only those whose header leaves a doubt. */
  readonly pixels?: boolean;
  readonly signal: AbortSignal;
}

/** Families that make cells of an image refuse longer ones. */
const EXTREME = 200;

/** Whether pixels have to be seen to know if an image can be read. */
const isDoubtful = ({ depth, channels }: ImageHeader): boolean =>
  (depth !== 'uchar' && channels <= 2) || (depth !== 'uchar' && depth !== 'ushort');

/**
 * What is wrong with images whose headers can be read: shapes that the model refuses, and pixels that cannot be read.
 * @param isShaped whether shapes were checked before.
 */
export async function imageFindings(
  images: Iterable<ImageHeader>,
  { backbone, pixels = false, signal }: ImageChecks,
  isShaped = false,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const image of images) {
    signal.throwIfAborted();
    if (!isShaped) findings.push(...shapeFindings(image, backbone));
    if (pixels || isDoubtful(image)) findings.push(...(await pixelFindings(image)));
  }
  return findings;
}

function shapeFindings(image: ImageHeader, backbone: BackboneV1 | undefined): readonly Finding[] {
  const { width, height, path } = image;
  if (backbone !== undefined) return refusals(() => backbone.requireImageSize?.(image));
  const ratio = Math.max(width, height) / Math.min(width, height);
  if (ratio <= EXTREME) return [];
  return [
    {
      severity: 'warning',
      code: 'IMAGE_INVALID',
      where: path,
      what: 'extreme shape',
      expected: `sides within a factor of ${EXTREME}, which most models ask for`,
      found: `${width}×${height} pixels`,
      hint: 'Crop the image, or cut it into several views; --model FOLDER tells what a model takes.',
    },
  ];
}

function refusals(work: () => void): readonly Finding[] {
  try {
    work();
    return [];
  } catch (error) {
    if (!SpatialError.isInstance(error)) throw error;
    return [findingOf(error)];
  }
}

async function pixelFindings({ path }: ImageHeader): Promise<readonly Finding[]> {
  try {
    await readImage(path);
    return [];
  } catch (error) {
    if (!SpatialError.isInstance(error)) throw error;
    return [findingOf(error)];
  }
}
