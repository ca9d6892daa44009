/** The report page: reads what the page carries, shows one question at a time. */
import type { PageData, PageQuestion, PageRun } from '../report/format.js';
import { chart } from './chart.js';
import { button, h, range } from './dom.js';
import { ListView } from './list-view.js';
import { MapsView } from './maps-view.js';
import { metricsView, questionView } from './question-view.js';
import { type DecodedScene, SceneSource } from './scene-source.js';
import { type Pane, type PointSettings, SceneView } from './scene-view.js';
import { accuracyTable, fileTable, runFacts } from './tables.js';
import { themeButton } from './theme.js';

/** Milliseconds between two looks at a run that may go on. */
const POLL_MS = 4000;

class Page {
  #data: PageData;
  readonly #source: SceneSource;
  readonly #settings: PointSettings = { threshold: 26, size: 1, showCameras: true };
  readonly #view = new SceneView(this.#settings);
  readonly #maps = new MapsView();
  readonly #list: ListView;
  readonly #head = h('div', { class: 'question-head' });
  readonly #question = h('div');
  readonly #metrics = h('div');
  readonly #stage: HTMLElement;
  readonly #chart = h('div');
  /** Step of a training run whose scenes are shown; the newest where undefined. */
  #step: number | undefined;
  #shownScene: string | undefined;

  constructor(data: PageData) {
    this.#data = data;
    this.#source = new SceneSource(data.scenes);
    document.title = data.title;
    this.#stage = h(
      'section',
      { class: 'card', 'aria-label': '3D' },
      this.#view.element,
      this.#bar(),
    );
    this.#list = new ListView(data, (place) => this.#show(place));
    this.#build();
    document.addEventListener('keydown', (event) => this.#key(event));
    if (data.questions.length > 0) this.#list.choose(this.#first());
    if (data.training) addEventListener('resize', () => this.#drawTraining());
    if (data.training && data.scenes === 'server') setTimeout(() => this.#poll(), POLL_MS);
  }

  /** The question that the address names, else the first one. */
  #first(): number {
    const { questions } = this.#data;
    const place = questions.findIndex(({ id }) => `#${encodeURIComponent(id)}` === location.hash);
    return Math.max(0, place);
  }

  #build(): void {
    const { title, subtitle, notice, questions, training } = this.#data;
    const isAlone = questions.length <= 1;
    this.#stage.hidden = questions.length === 0;
    this.#maps.element.hidden = questions.length === 0;
    const header = h(
      'header',
      {},
      h(
        'div',
        {},
        h('h1', {}, title),
        subtitle !== undefined && h('p', { class: 'muted' }, subtitle),
      ),
      themeButton(),
    );
    const main = h(
      'main',
      { id: 'main', tabindex: -1 },
      notice !== undefined && notice !== '' && h('p', { class: 'notice' }, notice),
      training && this.#trainingCard(),
      this.#head,
      this.#stage,
      this.#question,
      this.#metrics,
      this.#maps.element,
      this.#end(),
    );
    const app = document.getElementById('app')!;
    app.classList.toggle('is-alone', isAlone);
    app.replaceChildren(
      h('a', { class: 'skip', href: '#main' }, 'Skip to the question'),
      header,
      h('div', { class: 'columns' }, ...(isAlone ? [] : [this.#sidebar()]), main),
    );
  }

  #sidebar(): HTMLElement {
    const summary = h('summary', {}, 'Questions');
    const details = h('details', { class: 'drawer', open: true }, summary, this.#list.element);
    const narrow = matchMedia('(max-width: 820px)');
    const follow = () => {
      details.open = !narrow.matches;
    };
    narrow.addEventListener('change', follow);
    follow();
    return details;
  }

  #bar(): HTMLElement {
    const redraw = () => this.#view.draw();
    const threshold = range(
      'Leave out',
      0,
      95,
      1,
      (this.#settings.threshold * 100) / 255,
      (value) => {
        this.#settings.threshold = (value * 255) / 100;
        this.#maps.threshold = this.#settings.threshold;
        redraw();
        return `${value} % least confident`;
      },
    );
    this.#maps.threshold = this.#settings.threshold;
    const size = range('Points', 0.3, 4, 0.1, 1, (value) => {
      this.#settings.size = value;
      redraw();
      return `× ${value}`;
    });
    const cameras = h('input', { type: 'checkbox', checked: true });
    cameras.addEventListener('change', () => {
      this.#settings.showCameras = cameras.checked;
      redraw();
    });
    return h(
      'div',
      { class: 'bar' },
      threshold,
      size,
      h('label', {}, cameras, 'cameras'),
      h('span', { class: 'from' }, h('span', { class: 'muted' }, 'from view'), this.#view.jumps),
      button('Reset', () => this.#view.reset(), { class: 'push' }),
    );
  }

  /** Arrows go from question to question wherever nothing else takes them. */
  #key(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    const isTaken = target.closest(
      'input, select, textarea, canvas, [role=listbox], .question-text',
    );
    if (isTaken || event.ctrlKey || event.metaKey || event.altKey) return;
    const by = { ArrowRight: 1, ArrowLeft: -1, n: 1, p: -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    this.#list.move(by);
  }

  #show(place: number): void {
    const question = this.#data.questions[place]!;
    if (this.#data.questions.length > 1)
      history.replaceState(null, '', `#${encodeURIComponent(question.id)}`);
    this.#head.replaceChildren(...this.#headOf(question));
    this.#question.replaceChildren(questionView(question, this.#data.runs));
    this.#showScene(question).catch((error: Error) => this.#fail(error));
  }

  #headOf(question: PageQuestion): Node[] {
    if (this.#data.questions.length <= 1) return [];
    const { shown, chosen } = this.#list;
    const at = shown.indexOf(chosen);
    const step = (text: string, by: number, label: string) => {
      const element = button(text, () => this.#list.move(by), { 'aria-label': label });
      element.disabled = shown[at + by] === undefined;
      return element;
    };
    return [
      h(
        'div',
        {},
        h('h2', {}, question.id),
        h('p', { class: 'muted' }, `${question.category} · ${at + 1} of ${shown.length}`),
      ),
      h(
        'div',
        { class: 'steps' },
        step('←', -1, 'Previous question'),
        step('→', 1, 'Next question'),
      ),
    ];
  }

  /** The key of the scene that is looked at. */
  #keyOf({ scene }: PageQuestion): string | undefined {
    const { training } = this.#data;
    if (scene === undefined || training === undefined) return scene;
    const step = this.#step ?? training.watched.at(-1);
    return step === undefined ? undefined : `${scene}@${step}`;
  }

  async #showScene(question: PageQuestion): Promise<void> {
    const key = this.#keyOf(question);
    this.#stage.hidden = key === undefined;
    this.#maps.element.hidden = key === undefined;
    this.#metrics.hidden = key === undefined;
    if (key === undefined || key === this.#shownScene) return;
    const isSame = key.split('@')[0] === this.#shownScene?.split('@')[0];
    this.#shownScene = key;
    const scene = await this.#source.read(key);
    if (this.#shownScene !== key) return;
    const panes = panesOf(scene, this.#data.runs);
    this.#stage.hidden = panes.length === 0;
    this.#view.show(scene, panes, isSame);
    this.#maps.show(scene, panes);
    this.#metrics.replaceChildren(
      ...[metricsView(scene, this.#data.runs)].filter((e) => e !== null),
    );
  }

  #fail(error: Error): void {
    this.#shownScene = undefined;
    this.#stage.hidden = true;
    this.#metrics.hidden = false;
    this.#metrics.replaceChildren(h('p', { class: 'notice', role: 'alert' }, error.message));
  }

  #trainingCard(): HTMLElement {
    const card = h('section', { class: 'card training', 'aria-label': 'Training' }, this.#chart);
    this.#drawTraining();
    return card;
  }

  #drawTraining(): void {
    const { training } = this.#data;
    if (training === undefined) return;
    const at = this.#step ?? training.watched.at(-1);
    // Not in the document yet where it is drawn first.
    const width = this.#chart.clientWidth || chartWidth();
    this.#chart.replaceChildren(
      chart(training, at, width),
      ...this.#stepChoice(training.watched, at),
    );
  }

  #stepChoice(watched: readonly number[], at: number | undefined): Node[] {
    if (watched.length < 2 || at === undefined) return [];
    const place = watched.indexOf(at);
    return [
      range('Views at step', 0, watched.length - 1, 1, place, (value) => {
        const isNewest = value === watched.length - 1;
        if (watched[value] !== at) {
          this.#step = isNewest ? undefined : watched[value];
          this.#afterStep();
        }
        return `${watched[value]}${isNewest ? ' (newest)' : ''}`;
      }),
    ];
  }

  #afterStep(): void {
    const hadFocus = this.#chart.contains(document.activeElement);
    this.#drawTraining();
    if (hadFocus) this.#chart.querySelector('input')?.focus();
    const question = this.#data.questions[this.#list.chosen];
    if (question) this.#showScene(question).catch((error: Error) => this.#fail(error));
  }

  async #poll(): Promise<void> {
    try {
      const response = await fetch('report.json');
      if (response.ok) {
        this.#data = { ...this.#data, training: ((await response.json()) as PageData).training! };
        if (!this.#chart.contains(document.activeElement)) this.#afterStep();
      }
    } catch {
      // The server has gone: what was read stays.
    }
    setTimeout(() => this.#poll(), POLL_MS);
  }

  #end(): HTMLElement {
    const { questions, runs, files } = this.#data;
    const isScored = questions.some(({ answers }) => answers.some((a) => a?.score !== undefined));
    return h(
      'footer',
      {},
      isScored && questions.length > 1 && accuracyTable(this.#data),
      ...runs.filter(({ facts }) => facts.length > 0).map(runFacts),
      files.length > 0 && fileTable(files),
    );
  }
}

/** What is left of the window beside the margins, in pixels. */
const chartWidth = (): number => Math.min(1140, Math.max(260, innerWidth - 64));

function panesOf(scene: DecodedScene, runs: readonly PageRun[]): Pane[] {
  const label: Pane[] = scene.label === null ? [] : [{ name: 'Label', maps: scene.label }];
  const lifted = scene.predictions.map((maps, i) => ({ name: runs[i]!.name, maps }));
  return [...label, ...lifted.filter(({ maps }) => maps !== null)];
}

new Page(JSON.parse(document.getElementById('report')!.textContent!) as PageData);
