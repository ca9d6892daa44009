export {
  type Camera,
  cameraCentre,
  composeRigid,
  cropIntrinsics,
  decodePose,
  encodePose,
  type FieldOfView,
  fovFromIntrinsics,
  type ImageSize,
  intrinsicsFromFov,
  invertRigid,
  type PixelCentre,
  type PixelWindow,
  relativeToFirst,
  requireConventions,
  rigidFrom,
  rotationOf,
  scaleIntrinsics,
  translationOf,
} from './cameras.js';
export { type CloudErrors, cloudErrors } from './cloud-errors.js';
export {
  type DepthAlignment,
  type DepthComparison,
  type DepthMetrics,
  depthMetrics,
  fitDepth,
  type ScaleAndShift,
} from './depth-metrics.js';
export {
  checkLabels,
  inFirstCamera,
  labelMaps,
  meanPointNorm,
  nearestPixels,
  normaliseLabels,
  resampleLabels,
} from './labels.js';
export type { Matrix3, Rigid, Vector3 } from './matrix.js';
export { nearestDistances } from './nearest.js';
export { type NormalErrors, normalAngles, summariseAngles } from './normal-metrics.js';
export { cameraNormals, pixelNormals, surfaceNormals } from './normals.js';
export { type PoseFromRaysOptions, poseFromRays, type RayPose } from './pose-from-rays.js';
export {
  type PairErrors,
  type PoseAccuracy,
  pairErrors,
  pointErrors,
  poseAccuracy,
  rayErrors,
  trajectoryError,
} from './pose-metrics.js';
export {
  type CameraStack,
  cameraOfView,
  cameraStack,
  depthFromPoints,
  pixelRay,
  pointsFromRays,
  projectPoints,
  rayMap,
  unprojectDepth,
} from './rays.js';
export { resampleFeatures } from './resample-features.js';
export {
  type RobustPoseOptions,
  type RobustRayPose,
  robustPoseFromRays,
} from './robust-pose.js';
export {
  angleBetween,
  matrixToQuaternion,
  quaternionToMatrix,
  rotationAbout,
  rotationAngle,
} from './rotation.js';
export { alignSimilarity, applySimilarity, type Similarity } from './similarity.js';
