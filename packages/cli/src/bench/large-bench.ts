import type { AnswerRun } from './answer-run.js';
import { measureAnswers } from './answers.js';
import { LARGE_SIZES, largeCheckpoint } from './large-checkpoint.js';
import { emit } from './measure.js';

const BENCH = 'large';
const TOKENS = 9;
/** Sizes of which one round takes minutes. */
const ONCE = ['large-3b', 'internvl3-2b'];

/** Cases of `npm run bench -- large`. The first one is what runs without a name. */
export const LARGE_CASES: Readonly<Record<string, () => Promise<void>>> = Object.fromEntries(
  Object.entries(LARGE_SIZES).map(([name, size]) => [
    name,
    async () => measure(name, await largeCheckpoint(name, size)),
  ]),
);

async function measure(name: string, folder: string): Promise<void> {
  const { ours, peer, equalTokens } = await measureAnswers({
    folder,
    policies: ['mapped', 'float32'],
    views: 1,
    tokens: TOKENS,
    again: false,
    rounds: ONCE.includes(name) ? 1 : 3,
  });
  report(name, ours[0]!, ours[1]!, peer, equalTokens);
}

/** Ratios are ours / peer's; that of the prefill is the one of the slower policy. */
function report(
  name: string,
  mapped: AnswerRun,
  float32: AnswerRun,
  peer: AnswerRun | undefined,
  equalTokens: number,
): void {
  const ratio = (ours: number, theirs: number | undefined) =>
    theirs === undefined ? null : ours / theirs;
  const prefill = Math.max(mapped.prefill_ms, float32.prefill_ms);
  emit(BENCH, name, {
    prefill_ratio: ratio(prefill, peer?.prefill_ms),
    token_ratio_float32: ratio(float32.token_ms, peer?.token_ms),
    token_ms_mapped: mapped.token_ms,
    peak_ratio_mapped: ratio(mapped.peak_mb, peer?.peak_mb),
    peak_ratio_float32: ratio(float32.peak_mb, peer?.peak_mb),
    prompt_tokens: mapped.prompt_tokens!,
    prefill_ms_mapped: mapped.prefill_ms,
    prefill_ms_float32: float32.prefill_ms,
    token_ms_float32: float32.token_ms,
    peak_mb_mapped: mapped.peak_mb,
    peak_mb_float32: float32.peak_mb,
    load_s_mapped: mapped.load_s,
    load_s_float32: float32.load_s,
    first_program_s: Math.max(mapped.first_program_s!, float32.first_program_s!),
    peer_prefill_ms: peer?.prefill_ms ?? null,
    peer_token_ms: peer?.token_ms ?? null,
    peer_peak_mb: peer?.peak_mb ?? null,
    peer_load_s: peer?.load_s ?? null,
    tokens: TOKENS,
    equal_tokens: equalTokens,
  });
}
