module.exports = { displayName: 'adapter-internvl3', ...require('../../jest.preset.cjs') };
