# service.pl [HOOK_SOCKET CONTROL_SOCKET] -- COMMAND…: systemd's part, one service. Starts COMMAND whenever it reads
# "start", and ends it by a signal whenever it reads "signal NAME" (STOP and CONT end nothing). Listens on the sockets,
# if there are any, and hands them to every COMMAND as sd_listen_fds(3) says: what comes while none runs waits in the
# kernel. Perl because Node cannot listen without accepting.
use strict;
use warnings;
use POSIX ();
use Socket;

my (@paths, @listeners);
while (@ARGV && (my $path = shift) ne '--') { push @paths, $path }
$^F = 255;    # descriptors stay open across exec
for my $path (@paths) {
    socket(my $listener, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
    bind($listener, pack_sockaddr_un($path)) and listen($listener, 4096) or die "$path: $!";
    chmod 0600, $path or die "$path: $!";
    push @listeners, $listener;
}

$| = 1;
print "service: listening\n";
my $pid;
# Nobody has told it to: said at once, and with how it ended.
sub endedByItself {
    print "service: ended by itself $pid: status $?\n" if defined $pid && waitpid($pid, POSIX::WNOHANG) == $pid;
}
$SIG{CHLD} = \&endedByItself;
while (my $line = <STDIN>) {
    my ($order, $name) = split ' ', $line;
    if ($order eq 'start') {
        # Until its number is known its end waits.
        local $SIG{CHLD} = 'DEFAULT';
        $pid = fork // die "fork: $!";
        become() if $pid == 0;
        print "service: started $pid\n";
    }
    else {
        local $SIG{CHLD} = 'DEFAULT';
        kill $name, $pid or die "kill $name $pid: $!";
        next if $name eq 'STOP' || $name eq 'CONT';
        waitpid $pid, 0;
        print "service: ended $pid\n";
    }
}

sub become {
    POSIX::dup2(POSIX::open('/dev/null', &POSIX::O_RDONLY), 0);
    # Out of the way first: a listener may have the very number that another one is to get.
    my @moved = map { POSIX::dup2(fileno($_), 100 + fileno($_)); 100 + fileno($_) } @listeners;
    POSIX::dup2($moved[$_], 3 + $_) for 0 .. $#moved;
    POSIX::close($_) for @moved;
    @ENV{qw(LISTEN_PID LISTEN_FDS LISTEN_FDNAMES)} = ($$, scalar @moved, 'hook:control') if @moved;
    exec { $ARGV[0] } @ARGV or POSIX::_exit(127);
}
