const preset = require('../../jest.preset.cjs');

/** `property-graph`, a dependency of the glTF writer, is published as ES modules alone. */
const [[, typescript]] = Object.entries(preset.transform);
const esModules = [typescript[0], { ...typescript[1], jsc: { target: 'es2022' } }];

module.exports = {
  ...preset,
  displayName: 'inspect',
  transform: { ...preset.transform, 'property-graph/.+\\.mjs$': esModules },
  transformIgnorePatterns: ['/node_modules/(?!property-graph/)'],
};
