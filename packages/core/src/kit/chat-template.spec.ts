import { openChatTemplate, TEMPLATE_BUDGET } from './chat-template.js';

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

  it('keeps templates apart that share a thread, also where one of them ends it', async () => {
    const budget = { ...TEMPLATE_BUDGET, steps: Number.MAX_SAFE_INTEGER, timeMs: 300 };
    const [a, b] = await Promise.all(
      ['a', 'b'].map((text) => openChatTemplate(text, FILE, budget)),
    );
    expect(await Promise.all([b!([]), a!([]), b!([])])).toEqual(['b', 'a', 'b']);
    const loops = '{% for a in range(100000) %}'.repeat(3) + '{% endfor %}'.repeat(3);
    const endless = await openChatTemplate(loops, FILE, budget);
    const [ended, after] = await Promise.allSettled([endless([]), a!([])]);
    expect(ended).toMatchObject({ reason: refusal(/within 0.3 s/) });
    expect(after).toMatchObject({ value: 'a' });
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

  it('takes an answer that came while this thread was busy for longer than the budget', async () => {
    const template = await openChatTemplate('ok', FILE, { ...TEMPLATE_BUDGET, timeMs: 500 });
    const answer = template(MESSAGES);
    await new Promise(setImmediate);
    const end = performance.now() + 700;
    while (performance.now() < end);
    expect(await answer).toBe('ok');
  });

  it('ends one whose time is over, while the process does other things', async () => {
    const budget = { ...TEMPLATE_BUDGET, steps: Number.MAX_SAFE_INTEGER, timeMs: 300 };
    const loops = '{% for a in range(100000) %}'.repeat(3) + '{% endfor %}'.repeat(3);
    const template = await openChatTemplate(
      `{% if messages | length > 1 %}${loops}{% endif %}ok`,
      FILE,
      budget,
    );
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 5);
    await expect(template(MESSAGES)).rejects.toMatchObject(refusal(/within 0.3 s/));
    clearInterval(ticking);
    expect(ticks).toBeGreaterThan(3);
    expect(await template([])).toBe('ok');
  });
});
