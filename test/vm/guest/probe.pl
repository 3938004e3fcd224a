# probe.pl: tries what a daemon that was taken over would try, and prints a line for each: what came of it.
use strict;
use warnings;
use POSIX qw(uname _exit);
use Socket qw(AF_INET AF_INET6 SOCK_STREAM SOCK_DGRAM SOCK_RAW pack_sockaddr_in inet_aton);
$| = 1;

# Perl has no names for these: socket(7), unshare(2), mount(2).
my $AF_PACKET = 17;
my ($unshare, $mount) = (uname())[4] eq 'x86_64' ? (272, 165) : (97, 40);
my ($CLONE_NEWNS, $CLONE_NEWUSER, $CLONE_NEWNET) = (0x00020000, 0x10000000, 0x40000000);

# Each in a process of its own, which may then be in another namespace.
sub attempt {
    my ($what, $done) = @_;
    my $child = fork // die "fork: $!\n";
    return waitpid($child, 0) if $child;
    $! = 0;
    print "probe $what: ", ($done->() ? 'done' : "$!"), "\n";
    _exit(0);
}

# With the program apart from its arguments perl asks no shell: it is the kernel that answers.
sub run {
    my ($what, @words) = @_;
    attempt($what, sub {
        open(my $said, '>&', \*STDOUT);
        open(STDOUT, '>', '/dev/null');
        open(STDERR, '>', '/dev/null');
        my $status = system { $words[0] } @words;
        my $why = $!;
        open(STDOUT, '>&', $said);
        print "probe $what: it failed\n" and _exit(1) if $status > 0;
        $! = $why;
        return $status == 0;
    });
}

sub put {
    my ($path) = @_;
    attempt("write $path", sub { open(my $file, '>', $path) && unlink $path });
}

print "probe uid: $<\n";
run('/bin/sh',       '/bin/sh',   '-c', 'true');
run('/bin/bash',     '/bin/bash', '-c', 'true');
run('/usr/bin/env',  '/usr/bin/env');
# The loader is a library and may be mapped; what it is to run may not.
my ($loader) = glob '/lib64/ld-linux-*.so* /lib/ld-linux-*.so*';
run('/bin/true through the loader', $loader, '/bin/true');
# Nobody listens there: to be refused is to have been let out.
attempt('TCP connection', sub {
    socket(my $tcp, AF_INET, SOCK_STREAM, 0) or return 0;
    connect($tcp, pack_sockaddr_in(9, inet_aton('127.0.0.1'))) || $!{ECONNREFUSED};
});
attempt('TCP socket of IPv6', sub { socket(my $tcp, AF_INET6, SOCK_STREAM, 0) });
attempt('UDP socket',         sub { socket(my $udp, AF_INET, SOCK_DGRAM, 0) });
attempt('packet socket',      sub { socket(my $packet, $AF_PACKET, SOCK_RAW, 0) });
put('/etc/probe');
put('/usr/probe');
put('/var/lib/probe');
put('/run/ppp-routed/probe');
for my $path ('/etc/shadow', '/proc/1/cmdline', '/proc/sys/kernel/random/boot_id') {
    attempt("read $path", sub { open(my $file, '<', $path) });
}
attempt('user namespace',    sub { syscall($unshare, $CLONE_NEWUSER) == 0 });
attempt('mount namespace',   sub { syscall($unshare, $CLONE_NEWNS) == 0 });
attempt('network namespace', sub { syscall($unshare, $CLONE_NEWNET) == 0 });
attempt('mount', sub {
    my ($from, $to, $type) = ("none\0", "/tmp\0", "tmpfs\0");
    syscall($unshare, $CLONE_NEWNS) if $< == 0;    # not over the guest's own
    syscall($mount, $from, $to, $type, 0, 0) == 0;
});
attempt('become root', sub { $> = 0; $> == 0 });
# What it is for.
put('/run/ppp-routed/state/probe');
run('add a route', '/usr/bin/ip', 'route', 'add', '203.0.113.99', 'dev', 'lo');
run('take it away', '/usr/bin/ip', 'route', 'del', '203.0.113.99');
