import { type Options, type Params, SingleBar } from 'cli-progress';

/** Shows how far long work is. One piece of work at a time; `start` ends the one before. */
export interface ProgressReporter {
  /** @param total number of units, where it is known. */
  start(label: string, total?: number): void;
  /** @param done units finished since `start`. @param extra short text after the figures, for example a loss. */
  update(done: number, extra?: string): void;
  /** @param summary line that stays instead of the label. */
  done(summary?: string): void;
}

/** A reporter of a stream. */
export interface StreamProgress extends ProgressReporter {
  /** Takes the bar of unfinished work off the screen; a process with a bar does not end by itself. */
  stop(): void;
}

/** Reports nothing. */
export const silentProgress: ProgressReporter = {
  start() {},
  update() {},
  done() {},
};

interface Task {
  readonly label: string;
  readonly total: number | undefined;
  readonly startedMs: number;
  done: number;
  extra: string;
}

/** How a task is shown between its first and its last line. */
interface Display {
  start(task: Task): void;
  update(task: Task): void;
  stop(): void;
}

/**
 * On a terminal: one line that redraws itself, with a bar, the rate and the time left. Elsewhere (a file, a pipe, CI):
 * a plain line at each tenth of the work, at most every second, and at least every five seconds.
 */
export function createProgress(stream: NodeJS.WriteStream): StreamProgress {
  const display = stream.isTTY ? barDisplay(stream) : lineDisplay(stream);
  let task: Task | undefined;
  const stop = (): void => {
    if (task !== undefined) display.stop();
    task = undefined;
  };
  const done = (summary?: string): void => {
    if (task === undefined) return;
    const { label, startedMs } = task;
    stop();
    stream.write(`${summary ?? `${label}: done in ${formatSeconds(secondsSince(startedMs))}`}\n`);
  };
  return {
    start(label, total) {
      done();
      task = { label, total, startedMs: Date.now(), done: 0, extra: '' };
      display.start(task);
    },
    update(count, extra = '') {
      if (task === undefined) return;
      task.done = count;
      task.extra = extra;
      display.update(task);
    },
    done,
    stop,
  };
}

const secondsSince = (startMs: number): number => (Date.now() - startMs) / 1000;

// ---------------------------------------------------------------------------------------------- terminal

const FRAMES_PER_SECOND = 10;

function barDisplay(stream: NodeJS.WriteStream): Display {
  const bar = new SingleBar({
    stream,
    format: (options, params, { task }: { task: Task }) => barLine(options, params, task),
    fps: FRAMES_PER_SECOND,
    barsize: 24,
    barCompleteChar: '━',
    barIncompleteChar: '╌',
    clearOnComplete: true,
    // Interrupts are the command's business: it finishes its step and saves.
    gracefulExit: false,
  });
  return {
    start: (task) => bar.start(task.total ?? 0, 0, { task }),
    update: (task) => bar.update(task.done, { task }),
    stop: () => bar.stop(),
  };
}

function barLine(options: Options, { progress, eta, maxWidth }: Params, task: Task): string {
  const { barsize = 0, barCompleteString = '', barIncompleteString = '' } = options;
  const filled = Math.round(progress * barsize);
  const bar = `${barCompleteString.slice(0, filled)}${barIncompleteString.slice(0, barsize - filled)}`;
  const shown = task.total === undefined ? '' : `${bar} `;
  const text = `${task.label} ${shown}${task.done === 0 ? '…' : figures(task, eta)}`;
  return [...text].slice(0, maxWidth - 1).join('');
}

// ---------------------------------------------------------------------------------------------- plain lines

const LINE_INTERVAL_MS = 5000;
const TENTH_INTERVAL_MS = 1000;

function lineDisplay(stream: NodeJS.WriteStream): Display {
  let shown = { ms: 0, tenths: 0 };
  const show = (task: Task): void => {
    shown = { ms: Date.now(), tenths: tenths(task) };
    stream.write(plainLine(task));
  };
  return {
    start: show,
    update(task) {
      const isTenth = tenths(task) > shown.tenths;
      if (Date.now() - shown.ms >= (isTenth ? TENTH_INTERVAL_MS : LINE_INTERVAL_MS)) show(task);
    },
    stop() {},
  };
}

const share = (task: Task): number => (task.total ? task.done / task.total : 0);
const tenths = (task: Task): number => Math.floor(share(task) * 10);

function plainLine(task: Task): string {
  if (task.done === 0) return `${task.label} …\n`;
  const percent = task.total ? `${Math.floor(share(task) * 100)} % · ` : '';
  const perUnit = secondsSince(task.startedMs) / task.done;
  return `${task.label}: ${percent}${figures(task, ((task.total ?? 0) - task.done) * perUnit)}\n`;
}

// ---------------------------------------------------------------------------------------------- figures

/** `123/300 · 4.1/s · 0:43 left · loss 2.31`. @param secondsLeft estimate, used where there is a total. */
function figures(task: Task, secondsLeft: number): string {
  const seconds = secondsSince(task.startedMs);
  const parts = [task.total === undefined ? `${task.done}` : `${task.done}/${task.total}`];
  if (seconds > 0) parts.push(formatRate(task.done / seconds));
  if (seconds > 0 && task.total !== undefined && task.done < task.total) {
    parts.push(`${formatSeconds(secondsLeft)} left`);
  }
  if (task.extra !== '') parts.push(task.extra);
  return parts.join(' · ');
}

function formatRate(perSecond: number): string {
  if (perSecond >= 10) return `${Math.round(perSecond)}/s`;
  return perSecond >= 1 ? `${perSecond.toFixed(1)}/s` : `${(1 / perSecond).toFixed(1)} s each`;
}

/** `0.4 s`, `12 s`, `3:05`, `2:03:05`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const two = (value: number) => String(value).padStart(2, '0');
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const tail = two(whole % 60);
  return hours > 0 ? `${hours}:${two(minutes)}:${tail}` : `${minutes}:${tail}`;
}
