// Tells what it is told about a directory, and ends after the first change.
import { watchConfiguration } from '../../src/configuration/configuration-watch.ts';

void watchConfiguration(process.argv[2] ?? '', {
  onChange: () => process.stdout.write('change\n', () => process.exit()),
  onWatching: () => process.stdout.write('watching\n'),
});
process.stdout.write('started\n');
