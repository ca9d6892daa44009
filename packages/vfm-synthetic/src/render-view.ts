import { type ImageSize, scaleIntrinsics } from '@spatialsv/core/kit';
import type { RgbImage } from '@spatialsv/core/spec';
import { intrinsicsOf, roomToCamera } from './camera.js';
import { type CompiledScene, compileScene } from './compiled-scene.js';
import { paint } from './paint.js';
import { RayCaster } from './ray-caster.js';
import { FIRST_OBJECT_ID, type Scene, type SceneCamera } from './scene.js';

/** Exact geometry of one view; the world of `extrinsicsRoomToCamera` is the room frame. */
export interface ViewGeometry {
  readonly width: number;
  readonly height: number;
  /** (H, W) z-depth at pixel centres, metres. Every ray meets the room, so all of it is valid. */
  readonly depth: Float32Array;
  /** (H, W) 0..5 room surface, `FIRST_OBJECT_ID + k` object k. */
  readonly instances: Uint8Array;
  /** (3, 3) pixels, u = j + ½. */
  readonly intrinsics: Float64Array;
  /** (3, 4) [R | t], OpenCV axes, metres. */
  readonly extrinsicsRoomToCamera: Float64Array;
}

export interface RenderedView extends ViewGeometry {
  readonly image: RgbImage;
}

export interface GeometrySize extends ImageSize {
  /** Size of the image whose field of view is resampled; the asked size itself where absent. */
  readonly imageSize?: ImageSize;
}

/**
 * Renders one image with its geometry.
 * Colours are anti-aliased where they change; depth and instances are sampled at pixel centres, never blended.
 */
export const renderView = (scene: Scene, camera: SceneCamera, size: ImageSize): RenderedView => {
  const caster = castView(compileScene(scene), camera, size);
  const image = { data: paint(caster), height: size.height, width: size.width };
  return { ...geometryOf(caster, camera, size), image };
};

/**
 * Depth and instances alone, at any size: the rays of an H×W label of a W'×H' image are cast anew through the
 * intrinsics scaled to H×W, so nothing is interpolated.
 */
export const renderGeometry = (
  scene: Scene,
  camera: SceneCamera,
  size: GeometrySize,
): ViewGeometry => geometryOf(castView(compileScene(scene), camera, size), camera, size);

/** Casts a ray through every pixel centre. */
export const castView = (
  compiled: CompiledScene,
  camera: SceneCamera,
  size: GeometrySize,
): RayCaster => {
  const caster = new RayCaster(compiled, labelIntrinsics(camera, size), roomToCamera(camera), size);
  caster.castAll();
  return caster;
};

const labelIntrinsics = (camera: SceneCamera, size: GeometrySize): Float64Array => {
  const image = size.imageSize ?? size;
  const intrinsics = intrinsicsOf(camera, image.width, image.height);
  return Float64Array.from(scaleIntrinsics(intrinsics, image, size, 'half'));
};

const geometryOf = (caster: RayCaster, camera: SceneCamera, size: GeometrySize): ViewGeometry => {
  return {
    width: caster.width,
    height: caster.height,
    depth: new Float32Array(caster.depth),
    instances: instancesOf(caster),
    intrinsics: labelIntrinsics(camera, size),
    extrinsicsRoomToCamera: roomToCamera(camera),
  };
};

const instancesOf = ({ compiled, material }: RayCaster): Uint8Array => {
  const instances = new Uint8Array(material.length);
  for (let k = 0; k < material.length; k++) {
    const m = material[k]!;
    instances[k] = m < FIRST_OBJECT_ID ? m : compiled.instances[m - FIRST_OBJECT_ID]!;
  }
  return instances;
};
