# sender.pl ADDRESS: sends datagrams there as fast as it can until its input ends. Every send asks the kernel for the route
# anew. Says "sending", at the end how many were sent and which errors there were, as `1234 ENETUNREACH=5`.
use strict;
use warnings;
use Errno;
use IO::Select;
use Socket;

my $address = pack_sockaddr_in(9, inet_aton(shift));
socket(my $socket, AF_INET, SOCK_DGRAM, 0) or die $!;
my $input = IO::Select->new(\*STDIN);
my ($sent, %failed) = (0);
$| = 1;
print "sending\n";
until ($sent % 256 == 0 && $input->can_read(0)) {
  $sent++;
  next if defined send($socket, 'x', 0, $address);
  my ($name) = grep { $!{$_} } keys %!;
  $failed{$name}++;
}
print join(' ', $sent, map { "$_=$failed{$_}" } sort keys %failed), "\n";
