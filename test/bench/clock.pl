# clock.pl: does what its input says, a line at a time, and prints how many microseconds that took and what came of it.
# The words of a line are parted by the unit separator (0x1f):
#   run KEY=VALUE... -- COMMAND ARGUMENT...  as pppd runs a script: this environment and no other, nothing on the
#                                            standard streams, in /, nothing for others to read; says the exit status
#   ready KEY=VALUE... -- COMMAND ARGUMENT...  the same, until it prints a line with "ready: "; says the process id
#   end PID                                  ends what `ready` started, and waits for its end
#   ask SOCKET TEXT                          one connection: sends the text, ends its half, says the reply
use strict;
use warnings;
use Socket;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my %verbs = (run => \&run, ready => \&ready, end => \&end, ask => \&ask);
my ($started, $ended) = (0, 0);
my %output; # of what `ready` started, held open
chdir '/';
umask 077;
open my $nothing, '+<', '/dev/null' or die $!;
$| = 1;
while (my $line = <STDIN>) {
  chomp $line;
  my ($verb, @words) = split /\x1f/, $line, -1;
  my $said = $verbs{$verb}->(@words);
  printf "%.1f %s\n", ($ended - $started) * 1e6, $said;
}

sub run {
  my $child = start($nothing, @_);
  waitpid $child, 0;
  $ended = clock_gettime(CLOCK_MONOTONIC);
  return $? >> 8 || $? & 127;
}

sub ready {
  pipe my $read, my $write or die $!;
  my $child = start($write, @_);
  close $write;
  my $line = '';
  until ($line =~ /ready: /) { $line = <$read> // return 'it ended' }
  $ended = clock_gettime(CLOCK_MONOTONIC);
  $output{$child} = $read;
  return $child;
}

sub end {
  my ($child) = @_;
  $started = clock_gettime(CLOCK_MONOTONIC);
  kill 'TERM', $child;
  waitpid $child, 0;
  $ended = clock_gettime(CLOCK_MONOTONIC);
  delete $output{$child};
  return $? >> 8 || $? & 127;
}

sub start {
  my ($output, @words) = @_;
  my %environment;
  while ((my $word = shift @words) ne '--') {
    my ($key, $value) = split /=/, $word, 2;
    $environment{$key} = $value;
  }
  $started = clock_gettime(CLOCK_MONOTONIC);
  my $child = fork;
  die $! unless defined $child;
  if ($child == 0) {
    open STDIN, '<&', $nothing;
    open STDOUT, '>&', $output;
    open STDERR, '>&', $nothing;
    %ENV = %environment;
    { no warnings; exec { $words[0] } @words }
    kill 'KILL', $$;
  }
  return $child;
}

sub ask {
  my ($path, $text) = @_;
  $text =~ s/\\n/\n/g;
  my $name = pack_sockaddr_un($path);
  $started = clock_gettime(CLOCK_MONOTONIC);
  socket my $daemon, AF_UNIX, SOCK_STREAM, 0 or die $!;
  my $reply = connect($daemon, $name) && syswrite($daemon, $text) && shutdown($daemon, 1) ? <$daemon> : "$!";
  $ended = clock_gettime(CLOCK_MONOTONIC);
  chomp($reply //= 'no reply');
  return $reply;
}
