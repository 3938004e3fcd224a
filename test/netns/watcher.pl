# watcher.pl IFINDEX ADDRESS...: counts the packets to these addresses that arrive at a device, until its input ends. Says
# "watching", at the end each address with its count, as `198.51.100.7=0 2001:db8:9::1=12`.
use strict;
use warnings;
use IO::Select;
use Socket qw(AF_INET AF_INET6 SOCK_RAW inet_pton);

use constant { AF_PACKET => 17, ETH_P_ALL => 3, MSG_DONTWAIT => 0x40 };

my ($ifindex, @addresses) = @ARGV;
my %count = map { inet_pton(/:/ ? AF_INET6 : AF_INET, $_) => 0 } @addresses;
socket(my $device, AF_PACKET, SOCK_RAW, unpack('S', pack('n', ETH_P_ALL))) or die "no raw socket: $!";
# struct sockaddr_ll of packet(7)
bind($device, pack('S n i S C C a8', AF_PACKET, ETH_P_ALL, $ifindex, 0, 0, 0, '')) or die "not bound: $!";
my $ready = IO::Select->new($device, \*STDIN);
$| = 1;
print "watching\n";
for (my $ends = 0; !$ends;) {
  $ends = grep { $_ == \*STDIN } $ready->can_read;
  while (defined recv($device, my $frame, 128, MSG_DONTWAIT)) {
    my $type = unpack('x12 n', $frame);
    my $to = $type == 0x0800 ? substr($frame, 30, 4) : $type == 0x86dd ? substr($frame, 38, 16) : next;
    $count{$to}++ if exists $count{$to};
  }
}
print join(' ', map { "$_=" . $count{inet_pton(/:/ ? AF_INET6 : AF_INET, $_)} } @addresses), "\n";
