import { readdir, readFile } from 'node:fs/promises';
import { serverOfPptp } from '../core/server.ts';

/**
 * The servers of the pptp processes that belong to a pppd: its children (`pty "pptp …"`), and its parent where pptp
 * started pppd. From /proc/PID/{stat,cmdline}, proc(5). What cannot be read names no server.
 */
export async function serversOfPptpProcesses(pppd: number): Promise<string[]> {
  const parent = await parentOf(pppd);
  const found = await Promise.all(
    (await processes()).map(async pid => {
      const related = pid === parent || (await parentOf(pid)) === pppd;
      return related ? serverOfPptp(await commandLineOf(pid)) : [];
    }),
  );
  return [...new Set(found.flat())];
}

async function processes(): Promise<number[]> {
  const names = await readdir('/proc').catch(() => []);
  return names.filter(name => /^\d+$/.test(name)).map(Number);
}

/** The fourth field of stat; the second, the name in parentheses, may hold anything. */
async function parentOf(pid: number): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const parent = stat
    .slice(stat.lastIndexOf(')') + 1)
    .trim()
    .split(' ')[1];
  return parent === undefined ? undefined : Number(parent);
}

async function commandLineOf(pid: number): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return text.split('\0').filter(Boolean);
}
