/** The settings of inspect, whose glTF writer needs one dependency compiled. */
module.exports = { ...require('../inspect/jest.config.cjs'), displayName: 'cli' };
