/** Shows how far long work is. One piece of work at a time; `start` ends the one before. */
export interface ProgressReporter {
  /** @param total number of units, where it is known. */
  start(label: string, total?: number): void;
  /** @param done units finished since `start`. @param extra short text after the figures, for example a loss. */
  update(done: number, extra?: string): void;
  /** @param summary line that stays instead of the label. */
  done(summary?: string): void;
}

export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface ProgressOptions {
  /** Milliseconds, for tests. */
  readonly now?: () => number;
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
  shownMs: number;
  shownTenths: number;
}

const BAR_INTERVAL_MS = 100;
const LINE_INTERVAL_MS = 5000;
const TENTH_INTERVAL_MS = 1000;

/**
 * On a terminal: one line that redraws itself, with a bar, the rate and the time left. Elsewhere (a file, a pipe, CI):
 * a plain line at each tenth of the work,
 * at most every second, and at least every five seconds.
 */
export function createProgress(
  stream: ProgressStream,
  options: ProgressOptions = {},
): ProgressReporter {
  const now = options.now ?? (() => performance.now());
  const live = stream.isTTY === true;
  let task: Task | undefined;

  const draw = (current: Task): void => {
    current.shownMs = now();
    current.shownTenths = tenths(current);
    stream.write(live ? barLine(current, now(), stream.columns ?? 80) : plainLine(current, now()));
  };
  const isDue = (current: Task): boolean => {
    const elapsed = now() - current.shownMs;
    if (live) return elapsed >= BAR_INTERVAL_MS;
    const passedTenth = tenths(current) > current.shownTenths;
    return elapsed >= (passedTenth ? TENTH_INTERVAL_MS : LINE_INTERVAL_MS);
  };
  const finish = (summary?: string): void => {
    if (task === undefined) return;
    const seconds = formatSeconds((now() - task.startedMs) / 1000);
    stream.write(`${live ? '\r\x1b[K' : ''}${summary ?? `${task.label}: done in ${seconds}`}\n`);
    task = undefined;
  };
  return {
    start(label, total) {
      finish();
      const startedMs = now();
      task = { label, total, startedMs, done: 0, extra: '', shownMs: startedMs, shownTenths: 0 };
      draw(task);
    },
    update(done, extra = '') {
      if (task === undefined) return;
      task.done = done;
      task.extra = extra;
      if (isDue(task)) draw(task);
    },
    done: finish,
  };
}

const share = (task: Task): number => (task.total ? task.done / task.total : 0);
const tenths = (task: Task): number => Math.floor(share(task) * 10);

/** `123/300 · 4.1/s · 0:43 left · loss 2.31`. */
function figures(task: Task, nowMs: number): string {
  const seconds = (nowMs - task.startedMs) / 1000;
  const rate = seconds > 0 ? task.done / seconds : 0;
  const parts = [task.total === undefined ? `${task.done}` : `${task.done}/${task.total}`];
  if (rate > 0) parts.push(`${formatRate(rate)}`);
  if (rate > 0 && task.total !== undefined && task.done < task.total) {
    parts.push(`${formatSeconds((task.total - task.done) / rate)} left`);
  }
  if (task.extra !== '') parts.push(task.extra);
  return parts.join(' · ');
}

function plainLine(task: Task, nowMs: number): string {
  if (task.done === 0) return `${task.label} …\n`;
  const percent = task.total ? `${Math.floor(share(task) * 100)} % · ` : '';
  return `${task.label}: ${percent}${figures(task, nowMs)}\n`;
}

const BAR_CELLS = 24;

function barLine(task: Task, nowMs: number, columns: number): string {
  const filled = Math.min(BAR_CELLS, Math.round(share(task) * BAR_CELLS));
  const bar = task.total ? `${'━'.repeat(filled)}${'╌'.repeat(BAR_CELLS - filled)} ` : '';
  const text = `${task.label} ${bar}${task.done === 0 ? '…' : figures(task, nowMs)}`;
  return `\r\x1b[K${[...text].slice(0, columns - 1).join('')}`;
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
