module.exports = { displayName: 'vfm-dav3', ...require('../../jest.preset.cjs') };
