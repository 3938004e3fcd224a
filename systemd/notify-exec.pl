# notify-exec.pl COMMAND…: becomes COMMAND, in the same process, with descriptors that are connected to systemd's
# NOTIFY_SOCKET (PPP_ROUTED_NOTIFY_FD) and, where standard output goes to the journal, to journald (PPP_ROUTED_JOURNAL_FD).
# Node.js has no Unix datagram sockets, but it can write to one.
use strict;
use warnings;
use Fcntl qw(F_SETFD F_SETFL O_NONBLOCK);
use Socket qw(AF_UNIX SOCK_DGRAM pack_sockaddr_un);

my @kept;

sub connected {
    my ($address) = @_;
    socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or return;
    connect($socket, pack_sockaddr_un($address)) or return;
    fcntl($socket, F_SETFD, 0) or return;             # keep it across exec
    fcntl($socket, F_SETFL, O_NONBLOCK) or return;    # whoever does not keep up must not hold routes up
    push @kept, $socket;
    return $socket;
}

my $notify = $ENV{NOTIFY_SOCKET};
if (defined $notify && length $notify) {
    my $socket = connected($notify =~ s/^@/\0/r)    # a leading @ stands for the abstract namespace
        or die "notify-exec: cannot reach the service manager at $notify: $!\n";
    $ENV{PPP_ROUTED_NOTIFY_FD} = fileno($socket);
}
# Without a descriptor, lines go to standard output.
if (defined $ENV{JOURNAL_STREAM} and my $journal = connected('/run/systemd/journal/socket')) {
    $ENV{PPP_ROUTED_JOURNAL_FD} = fileno($journal);
}
exec { $ARGV[0] } @ARGV or die "notify-exec: $ARGV[0]: $!\n";
