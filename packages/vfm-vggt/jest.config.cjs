module.exports = { displayName: 'vfm-vggt', ...require('../../jest.preset.cjs') };
