import { createHash } from 'node:crypto';
import { canonicalJson, knownHashes } from '@spatialsv/core';
import type { BenchmarkQuestionV1, PromptPartV1 } from '@spatialsv/core/spec';
import { scoredQuestion } from './answers.js';

export interface QuestionKeys {
  /** SHA-256 of the question's facts, texts, images and frames. */
  readonly key: string;
  /** SHA-256 of its images and frames in their order: equal for questions about the same views. Absent without any. */
  readonly views?: string;
}

/**
 * What each question is, and what it looks at. Equal for equal content in any folder.
 * @throws SpatialError FILE_MISSING | FILE_INVALID for an image or video.
 */
export async function questionKeys(
  questions: readonly BenchmarkQuestionV1[],
): Promise<readonly QuestionKeys[]> {
  // Views are shared by questions: each file is read once.
  const hashes = new Map<string, string>();
  const keys: QuestionKeys[] = [];
  for (const question of questions) {
    const parts: unknown[] = [];
    for (const part of question.parts) parts.push(await partKey(part, hashes));
    const { system, maxNewTokens } = question;
    const key = digest(canonicalJson({ ...scoredQuestion(question), parts, system, maxNewTokens }));
    const views = parts.filter((_, i) => question.parts[i]!.type !== 'text');
    keys.push({ key, ...(views.length > 0 && { views: digest(canonicalJson(views)) }) });
  }
  await knownHashes.keep();
  return keys;
}

async function partKey(part: PromptPartV1, hashes: Map<string, string>): Promise<unknown> {
  if (part.type === 'text') return part;
  if (part.type === 'video') {
    const { path, frames } = part.video;
    return { type: 'video', sha256: await fileHash(path, hashes), frames };
  }
  const { source } = part.image;
  const sha256 =
    typeof source === 'string' ? await fileHash(source, hashes) : digest(await source());
  return { type: 'image', sha256 };
}

async function fileHash(path: string, hashes: Map<string, string>): Promise<string> {
  const known = hashes.get(path);
  if (known !== undefined) return known;
  const hash = await knownHashes.of(path);
  hashes.set(path, hash);
  return hash;
}

const digest = (content: string | Uint8Array): string =>
  createHash('sha256').update(content).digest('hex');
