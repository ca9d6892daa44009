import type { PointCloud } from './point-cloud.js';

const BYTES_PER_POINT = 15;

/**
 * PLY point cloud, binary little endian: float32 x y z and uint8 red green blue per vertex, as MeshLab, CloudCompare
 * and Open3D read it. Axes stay as they are in the cloud (OpenCV: x right, y down, z forward).
 * @param comments lines of the header, for example the unit and the world frame.
 */
export function encodePly(cloud: PointCloud, comments: readonly string[] = []): Buffer {
  const count = cloud.positions.length / 3;
  const header = Buffer.from(plyHeader(count, comments), 'ascii');
  const body = Buffer.alloc(count * BYTES_PER_POINT);
  for (let i = 0; i < count; i++) {
    const at = i * BYTES_PER_POINT;
    for (let axis = 0; axis < 3; axis++) {
      body.writeFloatLE(cloud.positions[i * 3 + axis]!, at + axis * 4);
      body[at + 12 + axis] = cloud.colors[i * 3 + axis]!;
    }
  }
  return Buffer.concat([header, body]);
}

function plyHeader(count: number, comments: readonly string[]): string {
  const lines = [
    'ply',
    'format binary_little_endian 1.0',
    ...comments.map((comment) => `comment ${comment.replace(/[^\x20-\x7e]/g, '?')}`),
    `element vertex ${count}`,
    ...['x', 'y', 'z'].map((name) => `property float ${name}`),
    ...['red', 'green', 'blue'].map((name) => `property uchar ${name}`),
    'end_header',
  ];
  return `${lines.join('\n')}\n`;
}
