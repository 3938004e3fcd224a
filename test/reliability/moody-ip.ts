// An `ip` that can be told to be well, to hang, to die, or to say nonsense.
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execaSync } from 'execa';
import type { Lab } from '../netns/lab.ts';

export const find = (command: string) => execaSync('which', [command]).stdout;
const [ip, perl, timeout, cut] = ['ip', 'perl', 'timeout', 'cut'].map(find);

/** An `ip` that does what the file beside it says. */
const wrapper = (directory: string) => `#!/bin/sh
read -r manner words <${directory}/manner
case $manner in
  well) exec ${ip} "$@" ;;
  hang) exec ${perl} -e '$SIG{TERM} = "IGNORE"; sleep 1000' ;;
  fail) echo 'Cannot open netlink socket: Too many open files' >&2; exit 1 ;;
  mortal) exec ${timeout} -s KILL 0.05 ${ip} "$@" ;;
  prattle) printf 'default via 6.6.6.6 dev eth0\\n\\0\\377garbage\\n1: lo\\n'; printf '\\377\\n' >&2; exec ${ip} "$@" ;;
  interrupt) ${ip} "$@" | while IFS= read -r line; do
      printf 'Deleted nonsense \\377\\033[2J\\n[ROUTE]default via\\n%s\\n' "$line"
    done ;;
  nonsense) exec ${perl} -e '$| = 1; while (<STDIN>) { print "\\0\\1nonsense default via \\377\\n" x 20; print STDERR "what?\\n" } sleep 1000' ;;
  cut) ${ip} "$@" | ${cut} -c 1-$words ;;
  blur) case " $* " in
      *' monitor '*) ${ip} "$@" | ${cut} -c 1-$words ;;
      *) exec ${ip} "$@" ;;
    esac ;;
  until) exec ${perl} ${directory}/until ${directory}/manner ${ip} "$words" "$@" ;;
  tight) case " $* " in
      *' monitor '*) exec ${ip} -rcvbuf 1 "$@" ;;
      *) exec ${ip} "$@" ;;
    esac ;;
esac
`;

/** `until WORDS`: well, but once what it is told begins with these words, it does that and hangs. Others are well after it. */
const until = String.raw`
my ($manner, $ip, $words, @arguments) = @ARGV;
exec $ip, @arguments unless grep { $_ eq '-batch' } @arguments;
open my $to, '|-', $ip, @arguments or die;
select((select($to), $| = 1)[0]);
while (sysread STDIN, my $said, 65536) {
  for my $line (split /(?<=\n)/, $said) {
    syswrite $to, $line;
    next unless $line =~ /^\Q$words/;
    open my $file, '>', $manner or die;
    print $file "well\n";
    close $file;
    sleep 1000;
  }
}
`;

/** The only `ip` for those that have `path` as their PATH. */
export class MoodyIp {
  readonly path: string;

  static async in(lab: Lab, manner = 'well'): Promise<MoodyIp> {
    const moody = new MoodyIp(join(lab.directory, 'bin'));
    await mkdir(moody.path);
    for (const command of ['stdbuf', 'perl', 'sh']) await symlink(find(command), join(moody.path, command));
    await moody.becomes(manner);
    return moody;
  }

  private constructor(path: string) {
    this.path = path;
  }

  /** For those that are started from now on. */
  async becomes(manner: string): Promise<void> {
    await rm(join(this.path, 'ip'), { force: true });
    if (manner === 'missing') return;
    await writeFile(join(this.path, 'manner'), `${manner}\n`);
    await writeFile(join(this.path, 'until'), until);
    await writeFile(join(this.path, 'ip'), wrapper(this.path));
    await chmod(join(this.path, 'ip'), 0o755);
  }
}
