# notify-exec.pl COMMAND…: becomes COMMAND, in the same process, with a descriptor (PPP_ROUTED_NOTIFY_FD) that is connected
# to systemd's NOTIFY_SOCKET. Node.js has no Unix datagram sockets, but it can write to one.
use strict;
use warnings;
use Fcntl qw(F_SETFD);
use Socket qw(AF_UNIX SOCK_DGRAM pack_sockaddr_un);

my $address = $ENV{NOTIFY_SOCKET};
if (defined $address && length $address) {
    $address =~ s/^@/\0/;    # a leading @ stands for the abstract namespace
    socket(our $notify, AF_UNIX, SOCK_DGRAM, 0) or die "notify-exec: socket: $!\n";
    connect($notify, pack_sockaddr_un($address)) or die "notify-exec: connect to $ENV{NOTIFY_SOCKET}: $!\n";
    fcntl($notify, F_SETFD, 0) or die "notify-exec: fcntl: $!\n";    # keep it across exec
    $ENV{PPP_ROUTED_NOTIFY_FD} = fileno($notify);
}
exec { $ARGV[0] } @ARGV or die "notify-exec: $ARGV[0]: $!\n";
