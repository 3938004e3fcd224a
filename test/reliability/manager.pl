# manager.pl SOCKET GO: listens where the service manager would, and reads nothing until the file GO is there; then prints
# every message, a line each.
use strict;
use warnings;
use Socket qw(AF_UNIX SOCK_DGRAM pack_sockaddr_un);
my ($path, $go) = @ARGV;
$| = 1;
socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die $!;
bind($socket, pack_sockaddr_un($path)) or die $!;
print "listening\n";
select(undef, undef, undef, 0.05) until -e $go;
while (defined recv($socket, my $message, 8192, 0)) {
    $message =~ s/\n/ | /g;
    print "$message\n";
}
