module.exports = { displayName: 'inspect', ...require('../../jest.preset.cjs') };
