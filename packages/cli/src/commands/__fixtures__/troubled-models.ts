import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  float32Source,
  openWeights,
  replaceWeights,
  saveWeights,
  type TensorSource,
} from '@spatialsv/core';

/** Folders of models as they are in the field, by what is wrong with them. */
export type TroubledModels = Readonly<
  Record<
    | 'stale'
    | 'many'
    | 'notFinite'
    | 'newer'
    | 'quantised'
    | 'adapter'
    | 'gguf'
    | 'pickled'
    | 'endless'
    | 'pipes'
    | 'lfs',
    string
  >
>;

type Edit = (tensors: Map<string, TensorSource>) => void;

/** Makes each folder of a small model of Qwen2.5-VL that has nothing wrong. */
export async function writeTroubledModels(root: string, model: string): Promise<TroubledModels> {
  const folder = (name: string) => join(root, name);
  const copy = (name: string) => {
    cpSync(model, folder(name), { recursive: true });
    return folder(name);
  };
  const edit = async (name: string, change: Edit) => {
    const tensors = new Map(replaceWeights(await openWeights(model), new Map()));
    change(tensors);
    await saveWeights(copy(name), tensors);
    return folder(name);
  };
  return {
    stale: writeStale(copy('stale')),
    many: await edit('many', spoil),
    notFinite: await edit('not-finite', (tensors) => {
      const norm = tensors.get('model.norm.weight')!;
      const values = new Float32Array(norm.shape[0]!).fill(1);
      values[3] = Number.NaN;
      tensors.set('model.norm.weight', float32Source(values, norm.shape));
    }),
    newer: writeNewer(copy('newer')),
    quantised: await edit('quantised', (tensors) => {
      const name = 'model.layers.0.mlp.up_proj.weight';
      tensors.set(name, { dtype: 'U8', shape: [8], bytes: () => new Uint8Array(8) });
    }).then((made) => writeConfig(made, { quantization_config: { quant_method: 'bitsandbytes' } })),
    adapter: writeNames(folder('adapter'), ['adapter_config.json', 'adapter_model.safetensors']),
    gguf: writeNames(folder('gguf'), ['model-Q4_K_M.gguf']),
    pickled: writeNames(folder('pickled'), ['pytorch_model.bin', 'tokenizer.json']),
    endless: writeEndless(copy('endless')),
    pipes: writePipes(copy('pipes')),
    lfs: writeLfs(copy('lfs')),
  };
}

/** A tensor missing, one of another shape, a layer too many, a value head, and one that is no number. */
const spoil: Edit = (tensors) => {
  tensors.delete('model.norm.weight');
  tensors.set('visual.merger.ln_q.weight', float32Source(new Float32Array(3), [3]));
  tensors.set('model.layers.9.mlp.up_proj.weight', float32Source(new Float32Array(2), [2]));
  tensors.set('v_head.summary.weight', float32Source(new Float32Array(2), [2]));
  tensors.set('model.layers.0.input_layernorm.weight', {
    dtype: 'I32',
    shape: [32],
    bytes: () => new Uint8Array(128),
  });
};

function writeStale(folder: string): string {
  const shard = 'model-00001-of-00001.safetensors';
  cpSync(join(folder, 'model.safetensors'), join(folder, shard));
  const index = { weight_map: { 'model.norm.weight': shard } };
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify(index));
  writeFileSync(join(folder, 'pytorch_model.bin'), '');
  writeFileSync(join(folder, 'modeling.py'), '');
  return folder;
}

/** As transformers 5 saves: the image processor within processor_config.json. */
function writeNewer(folder: string): string {
  const file = join(folder, 'preprocessor_config.json');
  const image_processor = JSON.parse(readFileSync(file, 'utf8'));
  rmSync(file);
  writeFileSync(join(folder, 'processor_config.json'), JSON.stringify({ image_processor }));
  return folder;
}

function writeConfig(folder: string, more: object): string {
  const file = join(folder, 'config.json');
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...more }));
  return folder;
}

function writeNames(folder: string, names: readonly string[]): string {
  mkdirSync(folder, { recursive: true });
  for (const name of names) writeFileSync(join(folder, name), '{}');
  return folder;
}

/** A template that never ends, and a file that is cut off: neither hides the other. */
function writeEndless(folder: string): string {
  const loop = '{% for a in range(1000) %}'.repeat(4) + '{% endfor %}'.repeat(4);
  writeFileSync(join(folder, 'chat_template.jinja'), loop);
  writeFileSync(join(folder, 'generation_config.json'), '{ "a": 1');
  writeFileSync(join(folder, 'preprocessor_config.json'), `{"a": ${'['.repeat(5000)}`);
  return folder;
}

function writePipes(folder: string): string {
  for (const name of ['tokenizer.json', 'model.safetensors', 'chat_template.jinja']) {
    rmSync(join(folder, name));
    execFileSync('mkfifo', [join(folder, name)]);
  }
  return folder;
}

function writeLfs(folder: string): string {
  const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n';
  writeFileSync(join(folder, 'model.safetensors'), pointer);
  return folder;
}
