module.exports = { displayName: 'adapter-qwen25vl', ...require('../../jest.preset.cjs') };
