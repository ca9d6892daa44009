/** A plugin's code is a stranger's: it is imported in a process of its own first, which it may end, stop or fill. */
import { type ChildProcess, spawn } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { invalidPlugin } from './manifest.js';

/** Importing an entry takes milliseconds on an idle machine: it says what there is, and loads the rest when that is asked for. */
const PLUGIN_LIMIT_MS = 60_000;

const MEMORY_MB = 512;

const SHOWN_CHARACTERS = 300;

/** What the process says of the plugin. */
type Report =
  | { readonly step: Step; readonly problem?: undefined }
  | { readonly step: Step; readonly problem: string };

/** What it did last. */
type Step = 'import' | 'contributions' | 'accepts' | 'done';

const DOING: Readonly<Record<Step, string>> = {
  import: 'while it is imported',
  contributions: 'in contributions()',
  accepts: 'in accepts({}) of a contribution',
  done: 'after its contributions were listed',
};

/**
 * Imports an entry and asks it for its contributions, in another process.
 * @param name of the plugin, for messages. @param entry absolute path of its module.
 * @throws SpatialError PLUGIN_INVALID for one that does not end in time, ends its process, or throws.
 */
export async function tryPlugin(
  name: string,
  entry: string,
  limitMs: number = PLUGIN_LIMIT_MS,
): Promise<void> {
  const { last, ending, error } = await runProbe(entry, limitMs);
  const problem = last.problem?.slice(0, SHOWN_CHARACTERS);
  if (problem !== undefined && last.step === 'import')
    throw invalidPlugin(name, `${entry} cannot be imported (${problem})`);
  if (problem !== undefined)
    throw invalidPlugin(name, `its code fails ${DOING[last.step]} (${problem})`);
  if (last.step === 'done') return;
  const said = error === '' ? '' : ` (${error.slice(0, SHOWN_CHARACTERS)})`;
  throw invalidPlugin(name, `its code ${ending} ${DOING[last.step]}${said}`);
}

interface Probe {
  readonly last: Report;
  readonly ending: string;
  readonly error: string;
}

function runProbe(entry: string, limitMs: number): Promise<Probe> {
  const program = `(${probePlugin.toString()})(${JSON.stringify(pathToFileURL(entry).href)}, (url) => import(url), process)`;
  const child = spawn(
    process.execPath,
    [...inheritedOptions(), `--max-old-space-size=${MEMORY_MB}`, '--eval', program],
    { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], windowsHide: true },
  );
  return new Promise((resolve, reject) => {
    let last: Report = { step: 'import' };
    let error = '';
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      end(child);
    }, limitMs);
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      if (error.length < SHOWN_CHARACTERS) error += text;
    });
    child.on('message', (report: Report) => {
      last = report;
      // What it does from here on is nobody's concern.
      if (last.step === 'done' || last.problem !== undefined) end(child);
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const ending = isLate ? `does not end within ${limitMs / 1000} s` : endingOf(code, signal);
      resolve({ last, ending, error: lastLine(error) });
    });
  });
}

/** A process that loops hears no other signal. */
const end = (child: ChildProcess): void => {
  child.kill('SIGKILL');
};

const endingOf = (code: number | null, signal: string | null): string => {
  if (signal !== null) return `ends its process by ${signal}`;
  return code === 13
    ? 'waits for something that never comes'
    : `ends its process with code ${code}`;
};

const lastLine = (text: string): string =>
  text.split('\n').find((line) => /error/i.test(line)) ?? '';

/** Conditions and loaders that this process resolves modules with. */
const inheritedOptions = (): readonly string[] =>
  process.execArgv.filter((option) =>
    /^--(conditions|import|require|loader|enable-source-maps)/.test(option),
  );

/**
 * What the process does. Its text is handed over, so it uses nothing but its parameters; `load` is `import`, which compilers
 * would rewrite.
 */
async function probePlugin(
  entry: string,
  load: (url: string) => Promise<{ readonly default?: unknown }>,
  own: NodeJS.Process,
): Promise<void> {
  const say = (report: Report) =>
    new Promise<void>((resolve) => {
      own.send!(report, () => resolve());
    });
  let step: Step = 'import';
  // Nothing is left to be done, and the import has not ended.
  own.once('beforeExit', () => say({ step, problem: 'it waits for something that never comes' }));
  try {
    // A CommonJS module is its own default.
    const { default: plugin } = (await load(entry)) as { default?: { contributions?: unknown } };
    step = 'contributions';
    await say({ step });
    const list = typeof plugin?.contributions === 'function' ? plugin.contributions() : [];
    step = 'accepts';
    await say({ step });
    for (const contribution of Array.isArray(list) ? list : [])
      if (typeof contribution?.accepts === 'function') contribution.accepts({});
    // A rejection that nobody handles ends the process in the next turn.
    await new Promise((resolve) => setImmediate(resolve));
    await say({ step: 'done' });
  } catch (error) {
    const message = (error as Error | undefined)?.message;
    await say({ step, problem: typeof message === 'string' ? message : String(error) });
  }
  own.exit(0);
}
