/// <reference lib="dom" />
/**
 * The script of the report page. It runs in the browser, from its own source text (`clientSource`), so every function
 * here refers only to its arguments, to browser globals and to the other functions of this file.
 */
import type { ReportProbe } from './page.js';
import type { SceneData } from './scene-data.js';

interface OrbitState {
  target: number[];
  yaw: number;
  pitch: number;
  distance: number;
  fovY: number;
}

interface DecodedCloud {
  count: number;
  positions: Float32Array;
  colors: Uint8Array;
}

interface Frame {
  cloud: DecodedCloud;
  cameras: SceneData['cameras'];
  matrix: Float32Array;
  /** Diameter of a point, in pixels at distance 1. */
  pointPx: number;
}

type Renderer = (frame: Frame) => void;

function decodeBytes(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function decodeCloud(packed: SceneData['clouds'][number]): DecodedCloud {
  const codes = new Uint16Array(decodeBytes(packed.positions).buffer as ArrayBuffer);
  const positions = Float32Array.from(
    codes,
    (code, i) => packed.origin[i % 3]! + code * packed.step[i % 3]!,
  );
  return { count: packed.count, positions, colors: decodeBytes(packed.colors) };
}

/** Unit vector from the target to the eye. */
function eyeDirection(state: OrbitState): number[] {
  const horizontal = Math.cos(state.pitch);
  return [
    Math.sin(state.yaw) * horizontal,
    Math.sin(state.pitch),
    Math.cos(state.yaw) * horizontal,
  ];
}

/** Right and up vectors of the screen. */
function screenAxes(state: OrbitState): [number[], number[]] {
  const back = eyeDirection(state);
  const right = [Math.cos(state.yaw), 0, -Math.sin(state.yaw)];
  const up = [
    back[1]! * right[2]! - back[2]! * right[1]!,
    back[2]! * right[0]! - back[0]! * right[2]!,
    back[0]! * right[1]! - back[1]! * right[0]!,
  ];
  return [right, up];
}

/** Column-major projection · view. */
function viewMatrix(state: OrbitState, aspect: number, radius: number): Float32Array {
  const back = eyeDirection(state);
  const [right, up] = screenAxes(state);
  const eye = back.map((value, i) => state.target[i]! + value * state.distance);
  const dot = (a: number[]) => a.reduce((sum, value, i) => sum + value * eye[i]!, 0);
  const near = Math.max(state.distance / 200, radius / 2000);
  const far = state.distance + radius * 12;
  const f = 1 / Math.tan(state.fovY / 2);
  const a = (far + near) / (near - far);
  const b = (2 * far * near) / (near - far);
  const x = f / aspect;
  const column = (i: number) => [x * right[i]!, f * up[i]!, a * back[i]!, -back[i]!];
  return new Float32Array([
    ...column(0),
    ...column(1),
    ...column(2),
    -x * dot(right),
    -f * dot(up),
    -a * dot(back) + b,
    dot(back),
  ]);
}

function compileShader(gl: WebGLRenderingContext, kind: number, source: string): WebGLShader {
  const shader = gl.createShader(kind)!;
  gl.shaderSource(shader, source);
  gl.compileShader(shader);
  return shader;
}

function linkProgram(gl: WebGLRenderingContext): WebGLProgram {
  const program = gl.createProgram();
  const vertex = `attribute vec3 position; attribute vec3 color; uniform mat4 matrix; uniform float size;
    varying vec3 tint;
    void main() { gl_Position = matrix * vec4(position, 1.0); tint = color;
      gl_PointSize = clamp(size / gl_Position.w, 1.0, 24.0); }`;
  const fragment = `precision mediump float; varying vec3 tint; uniform float round;
    void main() { vec2 d = gl_PointCoord - 0.5; if (round > 0.5 && dot(d, d) > 0.25) discard;
      gl_FragColor = vec4(tint, 1.0); }`;
  gl.attachShader(program, compileShader(gl, gl.VERTEX_SHADER, vertex));
  gl.attachShader(program, compileShader(gl, gl.FRAGMENT_SHADER, fragment));
  gl.linkProgram(program);
  return program;
}

function lineArrays(cameras: SceneData['cameras']): DecodedCloud {
  const positions = cameras.flatMap((camera) => camera.segments as number[]);
  const colors = cameras.flatMap((camera) =>
    Array.from({ length: camera.segments.length }, (_, i) => camera.color[i % 3]!),
  );
  return {
    count: positions.length / 3,
    positions: new Float32Array(positions),
    colors: new Uint8Array(colors),
  };
}

function webglRenderer(canvas: HTMLCanvasElement): Renderer | undefined {
  const gl = canvas.getContext('webgl', { alpha: true, antialias: true });
  if (gl === null) return undefined;
  const program = linkProgram(gl);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return undefined;
  gl.useProgram(program);
  const uniform = (name: string) => gl.getUniformLocation(program, name);
  const [matrix, size, round] = [uniform('matrix'), uniform('size'), uniform('round')];
  const buffers = new Map<object, [WebGLBuffer, WebGLBuffer]>();
  const draw = (mode: number, key: object, arrays: DecodedCloud) => {
    if (!buffers.has(key)) {
      buffers.set(key, [uploadBuffer(gl, arrays.positions), uploadBuffer(gl, arrays.colors)]);
    }
    const [positions, colors] = buffers.get(key)!;
    bindAttribute(gl, program, 'position', positions, gl.FLOAT);
    bindAttribute(gl, program, 'color', colors, gl.UNSIGNED_BYTE);
    gl.drawArrays(mode, 0, arrays.count);
  };
  return (frame) => {
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.uniformMatrix4fv(matrix, false, frame.matrix);
    gl.uniform1f(size, frame.pointPx);
    gl.uniform1f(round, 1);
    draw(gl.POINTS, frame.cloud, frame.cloud);
    gl.uniform1f(round, 0);
    if (frame.cameras.length > 0) draw(gl.LINES, frame.cameras, lineArrays(frame.cameras));
  };
}

function uploadBuffer(gl: WebGLRenderingContext, data: Float32Array | Uint8Array): WebGLBuffer {
  const buffer = gl.createBuffer();
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, data as Uint8Array<ArrayBuffer>, gl.STATIC_DRAW);
  return buffer;
}

function bindAttribute(
  gl: WebGLRenderingContext,
  program: WebGLProgram,
  name: string,
  buffer: WebGLBuffer,
  type: number,
): void {
  const location = gl.getAttribLocation(program, name);
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.enableVertexAttribArray(location);
  gl.vertexAttribPointer(location, 3, type, type === gl.UNSIGNED_BYTE, 0, 0);
}

/** [x, y, w] in pixels, or undefined behind the eye. */
function projectPoint(
  m: Float32Array,
  p: ArrayLike<number>,
  at: number,
  width: number,
  height: number,
): [number, number, number] | undefined {
  const [x, y, z] = [p[at]!, p[at + 1]!, p[at + 2]!];
  const w = m[3]! * x + m[7]! * y + m[11]! * z + m[15]!;
  if (w <= 1e-6) return undefined;
  const sx = (m[0]! * x + m[4]! * y + m[8]! * z + m[12]!) / w;
  const sy = (m[1]! * x + m[5]! * y + m[9]! * z + m[13]!) / w;
  return [(sx + 1) * 0.5 * width, (1 - sy) * 0.5 * height, w];
}

/** For browsers without WebGL: a z-buffer in an ImageData, with the frusta drawn over it. */
function softwareRenderer(canvas: HTMLCanvasElement): Renderer {
  const context = canvas.getContext('2d')!;
  return (frame) => {
    const { width, height } = canvas;
    const image = context.createImageData(width, height);
    const nearest = new Float32Array(width * height).fill(Number.POSITIVE_INFINITY);
    for (let i = 0; i < frame.cloud.count; i++) {
      const spot = projectPoint(frame.matrix, frame.cloud.positions, i * 3, width, height);
      if (spot === undefined) continue;
      const size = frame.pointPx / spot[2];
      splat(
        image,
        nearest,
        spot,
        Math.max(1, Math.min(12, Math.round(size))),
        frame.cloud.colors,
        i,
      );
    }
    context.putImageData(image, 0, 0);
    drawLines(context, frame);
  };
}

function splat(
  image: ImageData,
  nearest: Float32Array,
  [x, y, w]: [number, number, number],
  size: number,
  colors: Uint8Array,
  i: number,
): void {
  const left = Math.round(x - size / 2);
  const top = Math.round(y - size / 2);
  for (let row = Math.max(0, top); row < Math.min(image.height, top + size); row++) {
    for (let column = Math.max(0, left); column < Math.min(image.width, left + size); column++) {
      const at = row * image.width + column;
      if (nearest[at]! <= w) continue;
      nearest[at] = w;
      for (let c = 0; c < 3; c++) image.data[at * 4 + c] = colors[i * 3 + c]!;
      image.data[at * 4 + 3] = 255;
    }
  }
}

function drawLines(context: CanvasRenderingContext2D, frame: Frame): void {
  const { width, height } = context.canvas;
  for (const camera of frame.cameras) {
    context.strokeStyle = `rgb(${camera.color.join(',')})`;
    context.beginPath();
    for (let i = 0; i < camera.segments.length; i += 6) {
      const a = projectPoint(frame.matrix, camera.segments, i, width, height);
      const b = projectPoint(frame.matrix, camera.segments, i + 3, width, height);
      if (a === undefined || b === undefined) continue;
      context.moveTo(a[0], a[1]);
      context.lineTo(b[0], b[1]);
    }
    context.stroke();
  }
}

function startViewer(root: HTMLElement, scene: SceneData): void {
  const canvas = root.querySelector('canvas')!;
  const renderer =
    (location.hash === '#2d' ? undefined : webglRenderer(canvas)) ?? softwareRenderer(canvas);
  const clouds = scene.clouds.map(decodeCloud);
  const view = { cloud: 0, cameras: true, pointSize: 1, pending: false };
  const state: OrbitState = {
    target: [...scene.centre],
    yaw: 0,
    pitch: 0,
    distance: 1,
    fovY: 0.8,
  };
  const redraw = () => {
    if (view.pending) return;
    view.pending = true;
    requestAnimationFrame(() => {
      view.pending = false;
      fitCanvas(canvas);
      const matrix = viewMatrix(state, canvas.width / canvas.height, scene.radius);
      const cameras = view.cameras ? scene.cameras : [];
      const cloud = clouds[view.cloud]!;
      const spacing = (2.6 * scene.radius) / Math.sqrt(cloud.count + 1);
      const focalPx = canvas.height / (2 * Math.tan(state.fovY / 2));
      renderer({ cloud, cameras, matrix, pointPx: view.pointSize * spacing * focalPx });
    });
  };
  resetOrbit(state, scene);
  bindPointer(canvas, state, redraw);
  bindKeys(canvas, state, redraw);
  bindControls(root, view, state, scene, redraw);
  new ResizeObserver(redraw).observe(canvas);
  redraw();
}

function resetOrbit(state: OrbitState, scene: SceneData): void {
  state.target = [...scene.centre];
  state.yaw = 0.32;
  state.pitch = 0.45;
  state.fovY = 0.8;
  state.distance = scene.radius * 1.7;
}

function fitCanvas(canvas: HTMLCanvasElement): void {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

function turn(state: OrbitState, yaw: number, pitch: number): void {
  state.yaw += yaw;
  state.pitch = Math.max(-1.5, Math.min(1.5, state.pitch + pitch));
}

function pan(state: OrbitState, dx: number, dy: number): void {
  const [right, up] = screenAxes(state);
  state.target = state.target.map((value, i) => value + right[i]! * dx + up[i]! * dy);
}

function bindPointer(canvas: HTMLCanvasElement, state: OrbitState, redraw: () => void): void {
  const active = new Map<number, PointerEvent>();
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    active.set(event.pointerId, event);
  });
  for (const name of ['pointerup', 'pointercancel'] as const) {
    canvas.addEventListener(name, (event) => active.delete(event.pointerId));
  }
  canvas.addEventListener('pointermove', (event) => {
    const before = active.get(event.pointerId);
    if (before === undefined) return;
    movePointer(canvas, state, active, before, event);
    active.set(event.pointerId, event);
    redraw();
  });
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    state.distance *= Math.exp(event.deltaY * 0.0012);
    redraw();
  });
  canvas.addEventListener('contextmenu', (event) => event.preventDefault());
}

/** One finger or button turns, shift or the right button shifts, two fingers zoom. */
function movePointer(
  canvas: HTMLCanvasElement,
  state: OrbitState,
  active: Map<number, PointerEvent>,
  before: PointerEvent,
  event: PointerEvent,
): void {
  const dx = event.clientX - before.clientX;
  const dy = event.clientY - before.clientY;
  const other = [...active.values()].find((pointer) => pointer.pointerId !== event.pointerId);
  if (other !== undefined) {
    const gap = (p: PointerEvent) =>
      Math.hypot(p.clientX - other.clientX, p.clientY - other.clientY) + 1;
    state.distance *= gap(before) / gap(event);
  } else if (event.shiftKey || (event.buttons & 2) !== 0) {
    const unit = (2 * state.distance * Math.tan(state.fovY / 2)) / canvas.clientHeight;
    pan(state, -dx * unit, dy * unit);
  } else {
    turn(state, -dx * 0.008, dy * 0.008);
  }
}

function bindKeys(canvas: HTMLCanvasElement, state: OrbitState, redraw: () => void): void {
  const actions: Record<string, () => void> = {
    ArrowLeft: () => turn(state, -0.08, 0),
    ArrowRight: () => turn(state, 0.08, 0),
    ArrowUp: () => turn(state, 0, 0.08),
    ArrowDown: () => turn(state, 0, -0.08),
    '+': () => {
      state.distance *= 0.9;
    },
    '-': () => {
      state.distance /= 0.9;
    },
  };
  canvas.addEventListener('keydown', (event) => {
    const action = actions[event.key];
    if (action === undefined) return;
    event.preventDefault();
    action();
    redraw();
  });
}

function bindControls(
  root: HTMLElement,
  view: { cloud: number; cameras: boolean; pointSize: number },
  state: OrbitState,
  scene: SceneData,
  redraw: () => void,
): void {
  root.addEventListener('click', (event) => {
    const button = (event.target as HTMLElement).closest('button');
    if (button === null) return;
    const { cloud, camera, action } = button.dataset;
    if (cloud !== undefined) {
      view.cloud = Number(cloud);
      for (const other of root.querySelectorAll<HTMLElement>('[data-cloud]')) {
        other.setAttribute('aria-pressed', String(other === button));
      }
    }
    if (camera !== undefined) standAt(state, scene, Number(camera));
    if (action === 'reset') resetOrbit(state, scene);
    redraw();
  });
  root.querySelector<HTMLInputElement>('[data-frusta]')?.addEventListener('change', (event) => {
    view.cameras = (event.target as HTMLInputElement).checked;
    redraw();
  });
  root.querySelector<HTMLInputElement>('[data-size]')?.addEventListener('input', (event) => {
    view.pointSize = Number((event.target as HTMLInputElement).value);
    redraw();
  });
}

/** Looks through a camera of the scene (without its roll). */
function standAt(state: OrbitState, scene: SceneData, view: number): void {
  const { centre, forward, fovY } = scene.cameras[view]!;
  const reach = Math.hypot(...scene.centre.map((value, i) => value - centre[i]!));
  state.distance = Math.max(reach, scene.radius * 0.3);
  state.target = centre.map((value, i) => value + forward[i]! * state.distance);
  state.pitch = Math.asin(Math.max(-1, Math.min(1, -forward[1]!)));
  state.yaw = Math.atan2(-forward[0]!, -forward[2]!);
  state.fovY = Math.min(2.2, Math.max(0.2, fovY));
}

/** Moves one crosshair over every image of a view and prints the depths below it. */
function startProbe(card: HTMLElement, data: ReportProbe): void {
  const maps = Object.entries(data.maps).map(([name, map]) => ({
    name,
    ...map,
    codes: new Uint16Array(decodeBytes(map.codes).buffer as ArrayBuffer),
  }));
  const frames = [...card.querySelectorAll<HTMLElement>('[data-frame]')];
  const show = (u: number, v: number) => {
    const column = Math.min(data.width - 1, Math.floor(u * data.width));
    const row = Math.min(data.height - 1, Math.floor(v * data.height));
    for (const map of maps) {
      const code = map.codes[row * data.width + column]!;
      const value =
        code === 0 ? '–' : `${(map.min + (code - 1) * map.step).toFixed(2)} ${map.unit}`;
      for (const out of card.querySelectorAll(`[data-read="${map.name}"]`)) out.textContent = value;
    }
    card.style.setProperty('--u', `${u * 100}%`);
    card.style.setProperty('--v', `${v * 100}%`);
  };
  for (const frame of frames) {
    frame.addEventListener('pointermove', (event) => {
      const box = frame.getBoundingClientRect();
      card.classList.add('probing');
      show((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    });
    frame.addEventListener('pointerleave', () => {
      card.classList.remove('probing');
      for (const out of card.querySelectorAll('[data-read]')) out.textContent = '';
    });
  }
}

function readJson(id: string): unknown {
  return JSON.parse(document.getElementById(id)?.textContent ?? 'null');
}

function startTheme(): void {
  document.getElementById('theme')?.addEventListener('click', () => {
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    const now = document.documentElement.dataset['theme'] ?? (dark ? 'dark' : 'light');
    document.documentElement.dataset['theme'] = now === 'dark' ? 'light' : 'dark';
  });
}

function startPage(): void {
  startTheme();
  const stage = document.getElementById('stage');
  const scene = readJson('scene') as SceneData | null;
  if (stage !== null && scene !== null) startViewer(stage, scene);
  const probes = readJson('probes') as ReportProbe[] | null;
  for (const card of document.querySelectorAll<HTMLElement>('[data-view]')) {
    const data = probes?.[Number(card.dataset['view'])];
    if (data !== undefined) startProbe(card, data);
  }
}

const FUNCTIONS = [
  decodeBytes,
  decodeCloud,
  eyeDirection,
  screenAxes,
  viewMatrix,
  compileShader,
  linkProgram,
  lineArrays,
  webglRenderer,
  uploadBuffer,
  bindAttribute,
  projectPoint,
  softwareRenderer,
  splat,
  drawLines,
  startViewer,
  resetOrbit,
  fitCanvas,
  turn,
  pan,
  bindPointer,
  movePointer,
  bindKeys,
  bindControls,
  standAt,
  startProbe,
  readJson,
  startTheme,
  startPage,
];

/** JavaScript of the page. */
export function clientSource(): string {
  return `'use strict';\n${FUNCTIONS.map(String).join('\n')}\nstartPage();`;
}
