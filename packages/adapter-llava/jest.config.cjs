module.exports = { displayName: 'adapter-llava', ...require('../../jest.preset.cjs') };
