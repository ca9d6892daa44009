module.exports = { displayName: 'eval', ...require('../../jest.preset.cjs') };
