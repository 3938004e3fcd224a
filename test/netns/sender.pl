# sender.pl [--rate=PACKETS] ADDRESS...: sends datagrams there, so many a second or as fast as it can, until its input
# ends. Every send asks the kernel for the route anew. Says "sending", at the end how many were sent and which errors
# there were, as `1234 ENETUNREACH=5`.
use strict;
use warnings;
use Errno;
use IO::Select;
use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6);
use Time::HiRes qw(sleep time);

my $rate = $ARGV[0] =~ /^--rate=(\d+)$/ ? (shift, $1)[1] : 0;
my @ways = map { wayTo($_) } @ARGV;
my $input = IO::Select->new(\*STDIN);
my ($sent, %failed) = (0);
$| = 1;
print "sending\n";
my $started = time;
until ($sent % 256 == 0 && $input->can_read(0)) {
  # Never early; after a wait for the processor what is due goes out at once.
  my $early = $rate ? $started + $sent / $rate - time : 0;
  sleep $early if $early > 0.0005;
  my ($socket, $address) = @{$ways[$sent++ % @ways]};
  next if defined send($socket, 'x', 0, $address);
  my ($name) = grep { $!{$_} } keys %!;
  $failed{$name}++;
}
print join(' ', $sent, map { "$_=$failed{$_}" } sort keys %failed), "\n";

sub wayTo {
  my ($text) = @_;
  my $family = $text =~ /:/ ? AF_INET6 : AF_INET;
  my $bytes = inet_pton($family, $text);
  socket(my $socket, $family, SOCK_DGRAM, 0) or die $!;
  return [$socket, $family == AF_INET6 ? pack_sockaddr_in6(9, $bytes) : pack_sockaddr_in(9, $bytes)];
}
