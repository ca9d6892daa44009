export { MANIFEST_FILE, type ManifestInput, manifestSchema } from './manifest.js';
export { onnxSource } from './plugin.js';
