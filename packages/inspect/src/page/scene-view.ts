import {
  type LineSegments,
  PerspectiveCamera,
  type Points,
  Scene,
  type ShaderMaterial,
  Spherical,
  Vector2,
  WebGLRenderer,
} from 'three';
import { OrbitControls } from 'three/examples/jsm/controls/OrbitControls.js';
import type { PageCamera } from '../report/format.js';
import { button, h, viewColor } from './dom.js';
import { cloudOf, frustaOf } from './points.js';
import type { DecodedMaps, DecodedScene } from './scene-source.js';

/** What is drawn beside each other: the label and each run. */
export interface Pane {
  readonly name: string;
  readonly maps: DecodedMaps | null;
}

interface DrawnPane {
  readonly scene: Scene;
  readonly points: Points | undefined;
  readonly frusta: LineSegments | undefined;
}

/** How points are drawn. */
export interface PointSettings {
  /** Share, of 255, of the least confident points that is left out. */
  threshold: number;
  /** Factor on the diameter of a point. */
  size: number;
  showCameras: boolean;
}

const FOV_DEG = 45;
/** Panes narrower than this stand below each other. */
const NARROWEST_PANE_PX = 300;
const TURN_RAD = 0.1;
const ZOOM = 1.12;
/** Milliseconds between frames above which fewer points are drawn while the view moves. */
const SLOW_MS = 90;
const FEWEST = 0.15;
/** Milliseconds without movement after which everything is drawn. */
const REST_MS = 160;

/** Linked 3D views: one camera looks at all panes. */
export class SceneView {
  readonly element: HTMLElement;
  readonly #canvas: HTMLCanvasElement;
  readonly #titles: HTMLElement;
  readonly #jumps: HTMLElement;
  readonly #renderer: WebGLRenderer | undefined;
  readonly #camera = new PerspectiveCamera(FOV_DEG);
  readonly #controls: OrbitControls;
  readonly #settings: PointSettings;
  #panes: readonly DrawnPane[] = [];
  #scene: DecodedScene | undefined;
  /** Share of the points that is drawn while the view moves. */
  #share = 1;
  #lastFrame = 0;
  #pending = false;
  #rest = 0;

  constructor(settings: PointSettings) {
    this.#settings = settings;
    this.#canvas = h('canvas', {
      tabindex: 0,
      role: 'application',
      'aria-label':
        'Point clouds in 3D, linked. Drag or use the arrow keys to turn, plus and minus to zoom, 0 to reset. Click, then use the wheel to zoom.',
    });
    this.#titles = h('div', { class: 'pane-titles', 'aria-hidden': 'true' });
    this.#jumps = h('span', { class: 'group' });
    const message = h('p', { class: 'stage-message', hidden: true });
    this.element = h('div', { class: 'stage' }, this.#canvas, this.#titles, message);
    try {
      this.#renderer = new WebGLRenderer({ canvas: this.#canvas, alpha: true, antialias: false });
    } catch {
      message.hidden = false;
      message.textContent =
        'This browser has no WebGL: the depth maps below are what can be shown.';
    }
    this.#controls = new OrbitControls(this.#camera, this.#canvas);
    this.#controls.enableZoom = false;
    this.#controls.addEventListener('change', () => this.draw(true));
    this.#bindFocus();
    this.#canvas.addEventListener('keydown', (event) => this.#key(event));
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** Buttons that look through the cameras. */
  get jumps(): HTMLElement {
    return this.#jumps;
  }

  /** The wheel scrolls the page until the canvas is taken up. */
  #bindFocus(): void {
    this.#canvas.addEventListener('focus', () => {
      this.#controls.enableZoom = true;
    });
    this.#canvas.addEventListener('blur', () => {
      this.#controls.enableZoom = false;
    });
    this.#canvas.addEventListener('pointerdown', () => this.#canvas.focus({ preventScroll: true }));
  }

  /** @param keepView where the scene is the same one: the camera stays. */
  show(scene: DecodedScene, panes: readonly Pane[], keepView: boolean): void {
    this.#free();
    this.#scene = scene;
    this.#panes = panes.map(({ maps }) => this.#build(maps, scene));
    this.#titles.replaceChildren(...panes.map(({ name }) => h('span', {}, name)));
    const cameras = panes.find(({ maps }) => maps?.maps.cameras.length)?.maps?.maps.cameras ?? [];
    this.#jumps.replaceChildren(...cameras.map((camera) => this.#jump(camera)));
    if (!keepView) this.reset();
    this.draw();
  }

  #build(maps: DecodedMaps | null, scene: DecodedScene): DrawnPane {
    const drawn = new Scene();
    if (maps === null) return { scene: drawn, points: undefined, frusta: undefined };
    const points = cloudOf(maps, scene);
    const frusta = frustaOf(maps.maps.cameras);
    drawn.add(points, frusta);
    return { scene: drawn, points, frusta };
  }

  #jump(camera: PageCamera): HTMLElement {
    const element = button(String(camera.view + 1), () => this.#standAt(camera), {
      'aria-label': `Look through the camera of view ${camera.view + 1}`,
    });
    element.style.setProperty('--dot', viewColor(camera.view));
    element.classList.add('dotted');
    return element;
  }

  /** Looks through a camera, without its roll. */
  #standAt({ centre, forward, fovY }: PageCamera): void {
    const { radius } = this.#scene!.scene;
    this.#camera.fov = (fovY * 180) / Math.PI;
    this.#camera.position.fromArray([...centre]);
    this.#controls.target
      .fromArray([...forward])
      .normalize()
      .multiplyScalar(radius)
      .add(this.#camera.position);
    this.#controls.update();
    this.draw();
  }

  /** The whole scene, from above its front. */
  reset(): void {
    if (this.#scene === undefined) return;
    const { centre, radius } = this.#scene.scene;
    this.#camera.fov = FOV_DEG;
    this.#controls.target.fromArray([...centre]);
    this.#camera.position
      .setFromSpherical(new Spherical(radius * 2.4, 1.08, 0.42))
      .add(this.#controls.target);
    this.#controls.update();
    this.draw();
  }

  #key(event: KeyboardEvent): void {
    const actions: Record<string, () => void> = {
      ArrowLeft: () => this.#turn(-TURN_RAD, 0),
      ArrowRight: () => this.#turn(TURN_RAD, 0),
      ArrowUp: () => this.#turn(0, -TURN_RAD),
      ArrowDown: () => this.#turn(0, TURN_RAD),
      '+': () => this.#zoom(1 / ZOOM),
      '=': () => this.#zoom(1 / ZOOM),
      '-': () => this.#zoom(ZOOM),
      '0': () => this.reset(),
    };
    const action = actions[event.key];
    if (action === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }

  #turn(around: number, over: number): void {
    const offset = this.#camera.position.clone().sub(this.#controls.target);
    const place = new Spherical().setFromVector3(offset);
    place.theta += around;
    place.phi = Math.min(Math.PI - 0.05, Math.max(0.05, place.phi + over));
    this.#camera.position.setFromSpherical(place).add(this.#controls.target);
    this.#controls.update();
  }

  #zoom(factor: number): void {
    const offset = this.#camera.position.clone().sub(this.#controls.target);
    this.#camera.position.copy(offset.multiplyScalar(factor).add(this.#controls.target));
    this.#controls.update();
  }

  /** Draws in the next frame. @param isMoving fewer points where frames take long. */
  draw(isMoving = false): void {
    if (this.#pending || this.#renderer === undefined) return;
    this.#pending = true;
    requestAnimationFrame((now) => {
      this.#pending = false;
      if (isMoving) this.#adapt(now);
      this.#render(isMoving ? this.#share : 1);
      clearTimeout(this.#rest);
      if (isMoving && this.#share < 1) this.#rest = window.setTimeout(() => this.draw(), REST_MS);
    });
  }

  #adapt(now: number): void {
    const passed = now - this.#lastFrame;
    this.#lastFrame = now;
    if (passed > 1000) return;
    if (passed > SLOW_MS) this.#share = Math.max(FEWEST, this.#share * 0.7);
    else if (passed < SLOW_MS / 2) this.#share = Math.min(1, this.#share * 1.1);
  }

  #render(share: number): void {
    const renderer = this.#renderer!;
    const { columns, rows, width, height } = this.#layOut();
    renderer.setScissorTest(true);
    const { radius } = this.#scene?.scene ?? { radius: 1 };
    const distance = this.#camera.position.distanceTo(this.#controls.target);
    this.#camera.near = Math.max(radius / 500, distance / 500);
    this.#camera.far = distance + radius * 12;
    this.#camera.aspect = width / height;
    this.#camera.updateProjectionMatrix();
    for (const [i, pane] of this.#panes.entries()) {
      const left = (i % columns) * width;
      const bottom = (rows - 1 - Math.floor(i / columns)) * height;
      renderer.setViewport(left, bottom, width, height);
      renderer.setScissor(left, bottom, width, height);
      this.#prepare(pane, share, height * renderer.getPixelRatio(), radius);
      renderer.render(pane.scene, this.#camera);
    }
  }

  /** Sizes the canvas and its panes. */
  #layOut() {
    const renderer = this.#renderer!;
    const count = Math.max(1, this.#panes.length);
    const total = Math.max(1, this.element.clientWidth);
    const columns = Math.max(1, Math.min(count, Math.floor(total / NARROWEST_PANE_PX)));
    const rows = Math.ceil(count / columns);
    const width = Math.floor(total / columns);
    const height = Math.round(Math.min(width * 0.8, Math.max(240, window.innerHeight * 0.62)));
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    if (renderer.getPixelRatio() !== ratio) renderer.setPixelRatio(ratio);
    const size = renderer.getSize(new Vector2());
    if (size.x !== total || size.y !== height * rows) renderer.setSize(total, height * rows);
    this.#titles.style.setProperty('--columns', String(columns));
    this.#titles.style.setProperty('--rows', String(rows));
    return { columns, rows, width, height };
  }

  /** Points about as large as the gaps between them, seen from the middle distance. */
  #prepare(pane: DrawnPane, share: number, heightPx: number, radius: number): void {
    if (pane.frusta) pane.frusta.visible = this.#settings.showCameras;
    if (pane.points === undefined) return;
    const { geometry, material } = pane.points;
    const total = geometry.getAttribute('position').count;
    const count = Math.ceil(total * share);
    geometry.setDrawRange(0, count);
    this.#canvas.dataset['points'] = String(count);
    const { uniforms } = material as ShaderMaterial;
    const focalPx = heightPx / (2 * Math.tan((this.#camera.fov * Math.PI) / 360));
    const gap = (2.4 * radius) / Math.sqrt(count + 1);
    uniforms['threshold']!.value = this.#settings.threshold;
    uniforms['diameter']!.value = this.#settings.size * gap * focalPx;
  }

  #free(): void {
    for (const { points, frusta } of this.#panes) {
      for (const drawn of [points, frusta]) {
        drawn?.geometry.dispose();
        (drawn?.material as ShaderMaterial | undefined)?.dispose();
      }
    }
  }
}
