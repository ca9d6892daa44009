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
import { DrawBudget } from './draw-budget.js';
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
  readonly #budget = new DrawBudget();
  #isMoving = false;
  /** Share of the points that is on the canvas. */
  #done = 0;
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
      // What is drawn stays, and further points are added to it.
      const canvas = { canvas: this.#canvas, preserveDrawingBuffer: true };
      this.#renderer = new WebGLRenderer({ ...canvas, alpha: true, antialias: false });
      this.#renderer.autoClear = false;
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

  /**
   * Draws from the next frame on. A frame draws as many points as the machine keeps up with: while the view moves these are all,
   * at rest the following frames add the others.
   */
  draw(isMoving = false): void {
    this.#isMoving = isMoving;
    this.#done = 0;
    delete this.#canvas.dataset['whole'];
    this.#requestFrame();
  }

  #requestFrame(): void {
    if (this.#pending || this.#renderer === undefined) return;
    this.#pending = true;
    requestAnimationFrame(() => {
      this.#pending = false;
      const started = performance.now();
      const points = this.#render(this.#renderer!);
      requestAnimationFrame(() => this.#budget.learn(points, performance.now() - started));
      clearTimeout(this.#rest);
      this.#canvas.toggleAttribute('data-whole', this.#done >= 1);
      if (this.#done >= 1) return;
      if (this.#isMoving) this.#rest = window.setTimeout(() => this.draw(), REST_MS);
      else this.#requestFrame();
    });
  }

  /** @returns the points of all panes that this frame has drawn. */
  #render(renderer: WebGLRenderer): number {
    const { columns, rows, width, height, isFresh } = this.#layOut(renderer);
    const total = this.#panes.reduce((sum, pane) => sum + pointsOf(pane), 0);
    const from = isFresh ? 0 : this.#done;
    const to = Math.min(1, from + this.#budget.points / Math.max(1, total));
    renderer.setScissorTest(true);
    this.#placeCamera(width / height);
    for (const [i, pane] of this.#panes.entries()) {
      const left = (i % columns) * width;
      const bottom = (rows - 1 - Math.floor(i / columns)) * height;
      renderer.setViewport(left, bottom, width, height);
      renderer.setScissor(left, bottom, width, height);
      if (from === 0) renderer.clear();
      this.#prepare(pane, from, to, height * renderer.getPixelRatio());
      renderer.render(pane.scene, this.#camera);
    }
    this.#done = to;
    return (to - from) * total;
  }

  #placeCamera(aspect: number): void {
    const { radius } = this.#scene?.scene ?? { radius: 1 };
    const distance = this.#camera.position.distanceTo(this.#controls.target);
    this.#camera.near = Math.max(radius / 500, distance / 500);
    this.#camera.far = distance + radius * 12;
    this.#camera.aspect = aspect;
    this.#camera.updateProjectionMatrix();
  }

  /** Sizes the canvas and its panes. @returns also whether the canvas is empty, as it is behind a change of its size. */
  #layOut(renderer: WebGLRenderer) {
    const count = Math.max(1, this.#panes.length);
    const total = Math.max(1, this.element.clientWidth);
    const columns = Math.max(1, Math.min(count, Math.floor(total / NARROWEST_PANE_PX)));
    const rows = Math.ceil(count / columns);
    const width = Math.floor(total / columns);
    const height = Math.round(Math.min(width * 0.8, Math.max(240, window.innerHeight * 0.62)));
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    if (renderer.getPixelRatio() !== ratio) renderer.setPixelRatio(ratio);
    const size = renderer.getSize(new Vector2());
    const isFresh = size.x !== total || size.y !== height * rows;
    if (isFresh) renderer.setSize(total, height * rows);
    this.#titles.style.setProperty('--columns', String(columns));
    this.#titles.style.setProperty('--rows', String(rows));
    return { columns, rows, width, height, isFresh };
  }

  /**
   * Points about as large as the gaps between them, seen from the middle distance.
   * @param from share of the points that is drawn. @param to share up to which this frame draws.
   */
  #prepare(pane: DrawnPane, from: number, to: number, heightPx: number): void {
    if (pane.frusta) pane.frusta.visible = this.#settings.showCameras && from === 0;
    if (pane.points === undefined) return;
    const { geometry, material } = pane.points;
    const total = pointsOf(pane);
    const [first, end] = [Math.ceil(total * from), Math.ceil(total * to)];
    geometry.setDrawRange(first, end - first);
    this.#canvas.dataset['points'] = String(end);
    const { uniforms } = material as ShaderMaterial;
    const focalPx = heightPx / (2 * Math.tan((this.#camera.fov * Math.PI) / 360));
    const shown = this.#isMoving ? end : total;
    const gap = (2.4 * this.#scene!.scene.radius) / Math.sqrt(shown + 1);
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

const pointsOf = ({ points }: DrawnPane): number =>
  points?.geometry.getAttribute('position').count ?? 0;
