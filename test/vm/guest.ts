import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';

const here = import.meta.dirname;
const project = join(here, '../..');

/** Where a guest boots: a container on the host's kernel, or User-Mode Linux with a kernel of its own. */
export type Place = 'nspawn' | 'uml';

export interface Guest {
  /** What the guest's script recorded, by name. */
  sections: Map<string, string>;
  /** Everything that there is to read when a test has failed. */
  log: string;
}

const programs: Record<Place, { program: string; debianPackage: string }[]> = {
  nspawn: [
    { program: 'mmdebstrap', debianPackage: 'mmdebstrap' },
    { program: 'systemd-nspawn', debianPackage: 'systemd-container' },
  ],
  uml: [
    { program: 'mmdebstrap', debianPackage: 'mmdebstrap' },
    { program: 'linux.uml', debianPackage: 'user-mode-linux' },
  ],
};

/** Why no guest can boot here; undefined where it can. */
export async function findObstacle(place: Place): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'only root can build and boot a guest';
  for (const { program, debianPackage } of programs[place]) {
    const { failed } = await execa('sh', ['-c', 'command -v "$1"', 'sh', program], { reject: false });
    if (failed) return `${program} is missing (Debian: apt-get install ${debianPackage})`;
  }
  return undefined;
}

/** Boots a guest that runs guest/SCRIPT with the project in /share/project, and waits until it has powered off. */
export async function runGuest({ place, script }: { place: Place; script: string }): Promise<Guest> {
  const { stdout: rootfs } = await execa(join(here, 'build-rootfs'), { stderr: 'inherit' });
  const share = await mkdtemp(join(tmpdir(), 'ppp-routed-guest-'));
  try {
    await fillShare({ share, script });
    const { all: console } = await execa(join(here, `boot-${place}`), [rootfs, share], {
      all: true,
      reject: false,
    });
    const read = (name: string) => readFile(join(share, name), 'utf8').catch(() => '(nothing)');
    const out = await read('out');
    const log = [
      `--- console\n${console}`,
      `--- journal\n${await read('journal')}`,
      `--- errors of the guest's script\n${await read('err')}`,
      `--- what it recorded\n${out}`,
    ].join('\n');
    return { sections: splitSections(out), log };
  } finally {
    await rm(share, { recursive: true, force: true });
  }
}

async function fillShare({ share, script }: { share: string; script: string }): Promise<void> {
  await mkdir(join(share, 'project'));
  for (const part of ['dist', 'hooks', 'systemd', 'scripts', 'package.json'])
    await cp(join(project, part), join(share, 'project', part), { recursive: true });
  for (const name of ['common.sh', 'probe.pl', 'hang.mjs'])
    await cp(join(here, 'guest', name), join(share, name));
  // Last: the guest's unit looks for this one.
  await writeFile(join(share, 'guest.sh'), await readFile(join(here, 'guest', script)));
}

function splitSections(out: string): Map<string, string> {
  const [, ...parts] = `\n${out}`.split('\n@@ ');
  return new Map(
    parts.map(part => {
      const [name = '', ...lines] = part.split('\n');
      return [name, lines.join('\n').trimEnd()];
    }),
  );
}
