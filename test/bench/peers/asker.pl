#!/usr/bin/perl
# asker.pl SOCKET: the least that asks the daemon: no shell, no modules.
socket my $daemon, 1, 1, 0 or die; # AF_UNIX, SOCK_STREAM
connect $daemon, pack 'Sa*x', 1, $ARGV[0] or die;
syswrite $daemon, "version=1\nevent=ip-up\ninterface=ppp0\n\n";
shutdown $daemon, 1;
readline($daemon) =~ /^ok/ or die;
