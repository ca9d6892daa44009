module.exports = { displayName: 'vfm-onnx', ...require('../../jest.preset.cjs') };
