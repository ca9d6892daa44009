module.exports = { displayName: 'vfm-synthetic', ...require('../../jest.preset.cjs') };
