/** What commands, configurations and label stores call the source. */
export const SOURCE_ID = 'onnx';
