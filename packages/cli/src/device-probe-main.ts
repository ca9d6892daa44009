/** Child process of `probeDevice`: prints the report of the device that is its argument. */
import { runProbe } from './device-probe.js';

const report = await runProbe(process.argv[2]!);
process.stdout.write(`\n${JSON.stringify(report)}\n`, () => process.exit(0));
