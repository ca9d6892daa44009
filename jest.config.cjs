/** One Jest run over every package, so that the counts at the end are the counts of the whole project. */
module.exports = { projects: ['<rootDir>/packages/*/jest.config.cjs'] };
