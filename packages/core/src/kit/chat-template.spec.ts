import { openChatTemplate, type RenderChat, TEMPLATE_BUDGET } from './chat-template.js';

const FILE = 'model/chat_template.jinja';
const MESSAGES = [
  { role: 'user', content: 'a' },
  { role: 'assistant', content: 'b' },
];

const render = async (source: string, budget = TEMPLATE_BUDGET): Promise<string> =>
  (await openChatTemplate(source, FILE, budget))(MESSAGES);

const refusal = (problem: RegExp) => ({
  code: 'FILE_INVALID',
  message: expect.stringMatching(
    new RegExp(`^${FILE}: the chat template does not render .*${problem.source}`),
  ),
});

/** Of what Jest would replace, all but the timer of a budget. */
const REAL = [
  ...(['Date', 'hrtime', 'nextTick', 'performance', 'queueMicrotask'] as const),
  ...(['setImmediate', 'clearImmediate', 'setInterval', 'clearInterval'] as const),
];

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('openChatTemplate', () => {
  it('renders chats one after the other', async () => {
    const template = await openChatTemplate(
      '{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}!{% endif %}',
      FILE,
    );
    const chats = [MESSAGES, MESSAGES.slice(1), []];
    expect(await Promise.all(chats.map(template))).toEqual([
      '<user>a<assistant>b!',
      '<assistant>b!',
      '!',
    ]);
  });

  it('says what a template complains of, and goes on', async () => {
    const template = await openChatTemplate(
      "{% if messages | length > 1 %}{{ raise_exception('roles must alternate') }}{% endif %}ok",
      FILE,
    );
    await expect(template(MESSAGES)).rejects.toMatchObject(refusal(/roles must alternate/));
    expect(await template([])).toBe('ok');
  });

  it('refuses a template that cannot be parsed', async () => {
    await expect(openChatTemplate('{% if %}', FILE)).rejects.toMatchObject(refusal(/./));
  });

  it.each<[string, string, RegExp]>([
    [
      'loops in loops',
      `${'{% for a in range(1000) %}'.repeat(4)}x${'{% endfor %}'.repeat(4)}`,
      /200000 steps/,
    ],
    [
      'loops in loops around nothing',
      `${'{% for a in range(1000) %}'.repeat(4)}${'{% endfor %}'.repeat(4)}`,
      /200000 steps/,
    ],
    ['brackets in brackets', `{{ ${'('.repeat(100_000)}1${')'.repeat(100_000)} }}`, /call stack/],
    [
      'a text that doubles to 2⁴⁰ characters',
      `{% set ns = namespace(t='ab') %}{% for i in range(39) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}`,
      /16777216 characters/,
    ],
    [
      'a list that fills the memory',
      '{{ range(10 ** 12) | length }}',
      /memory|array length|within 60 s/,
    ],
    [
      'a list of long lists',
      '{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}{{ ns.l | length }}',
      /memory|array length|within 60 s/,
    ],
  ])('refuses %s', async (_name, source, problem) => {
    await expect(render(source)).rejects.toMatchObject(refusal(problem));
  });
});

describe('the time of a chat template', () => {
  // The clock of the budgets stands still unless a test moves it: no thread is too slow for them.
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: REAL });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  const budget = { ...TEMPLATE_BUDGET, steps: Number.MAX_SAFE_INTEGER, timeMs: 300 };
  const passBudget = () => jest.advanceTimersByTime(budget.timeMs);
  /** Until the thread is asked, and its time has begun. */
  const asked = async () => {
    while (jest.getTimerCount() === 0) await turn();
  };
  const loops = '{% for a in range(100000) %}'.repeat(3) + '{% endfor %}'.repeat(3);

  it('keeps templates apart that share a thread, also where one of them ends it', async () => {
    const [a, b] = await Promise.all(
      ['a', 'b'].map((text) => openChatTemplate(text, FILE, budget)),
    );
    expect(await Promise.all([b!([]), a!([]), b!([])])).toEqual(['b', 'a', 'b']);
    const endless = await openChatTemplate(loops, FILE, budget);
    const answers = Promise.allSettled([endless([]), a!([])]);
    await asked();
    passBudget();
    const [ended, after] = await answers;
    expect(ended).toMatchObject({ reason: refusal(/within 0.3 s/) });
    expect(after).toMatchObject({ value: 'a' });
  });

  it('is not over for an answer that came while this thread was busy for longer', async () => {
    const template = await openChatTemplate('ok', FILE, budget);
    await expect(answerWhileBusy(template)).resolves.toBe('ok');
  });

  /** The answer of a template to a thread that reads it when the time is over; busy ever longer, until the answer is there. */
  async function answerWhileBusy(template: RenderChat, busyMs = 300): Promise<string> {
    const answer = template(MESSAGES);
    // The question is asked before this thread looks at anything else.
    while (jest.getTimerCount() === 0) await undefined;
    const end = performance.now() + busyMs;
    while (performance.now() < end);
    passBudget();
    if (busyMs > 4000) return answer;
    return answer.catch(async () => {
      // In another thread, which is there once it has answered.
      await template([]);
      return answerWhileBusy(template, 4 * busyMs);
    });
  }

  it('ends one that loops, while the process does other things', async () => {
    const template = await openChatTemplate(
      `{% if messages | length > 1 %}${loops}{% endif %}ok`,
      FILE,
      budget,
    );
    const answer = expect(template(MESSAGES)).rejects.toMatchObject(refusal(/within 0.3 s/));
    await asked();
    for (let turns = 0; turns < 4; turns++) await turn();
    passBudget();
    await answer;
    expect(await template([])).toBe('ok');
  });
});
