#!/bin/bash
# Tier c, in a guest under systemd: setup, the service's life, unsetup.
# shellcheck source-path=SCRIPTDIR source=common.sh
# shellcheck source=test/vm/guest/common.sh
. /share/common.sh
setup=/share/project/scripts/setup.mjs
unsetup=/share/project/scripts/unsetup.mjs

# Files of the system with modes and owners, and the contents of /etc. Backups of the user database hold what was before.
listing() {
  find /etc /usr /var /run /opt \
    \( -path /run/systemd -o -path /run/log -o -path /var/log -o -path /var/tmp -o -path /run/dbus \) -prune -o \
    \( -type d -printf '%p %M %u:%g\n' -o -printf '%p %M %u:%g %l\n' \) | sort
  find /etc -type f ! -name '*-' -exec sha256sum {} + | sort -k2
}

# as_user USER SOCKET: can it connect?
as_user() {
  # shellcheck disable=SC2016
  runuser -u "$1" -- perl -MSocket -e '
    socket(my $s, AF_UNIX, SOCK_STREAM, 0); connect($s, pack_sockaddr_un($ARGV[0])) or die "$!\n"; print "connected\n"' "$2"
}

links_up() { for n in "$@"; do as_pppd ip-up "q$n" "10.98.$n.2" "10.98.$n.1" many & done; wait; }
links_down() { for n in "$@"; do as_pppd ip-down "q$n" "10.98.$n.2" "10.98.$n.1" many; done; }
queued() { ss -xl src /run/ppp-routed/hook.sock | awk '/hook.sock/ { print $3 }'; }
five_are_queued() { [ "$(queued)" = 5 ]; }
spooled() { find /run/ppp-routed/spool -maxdepth 1 -type f -printf '%f %M %u:%g\n' | sort; }
nothing_is_spooled() { [ -z "$(spooled)" ]; }
ours() { ip route show proto ppp-routed | sort; }
five_are_ours() { [ "$(ours | wc -l)" = 5 ]; }
has_restarted_itself() { [[ $(systemctl show ppp-routed -p NRestarts -p SubState) == *=1*=running ]]; }

add_uplink
for n in 0 1 2 3 4; do add_link "q$n" "10.98.$n.2" "10.98.$n.1"; done
listing >/tmp/files.before
record 'table at first' table

# An administrator's configuration is there already: setup must leave it alone.
mkdir -p /tmp/configuration
{
  printf '[link.work]\ndefault-route = "replace"\nserver = "203.0.113.5"\n'
  for n in 0 1 2 3 4; do
    printf '[link.q%s]\nmatch = { interface = "q%s" }\ndefault-route = "none"\nserver = "none"\nnetworks = ["198.51.100.%s/32"]\n' $n $n $n
  done
} >/tmp/configuration/ppp-routed.toml
mkdir /etc/ppp-routed
cp /tmp/configuration/ppp-routed.toml /etc/ppp-routed/

record 'verify' systemd-analyze verify --man=no /share/project/systemd/*.socket
record 'setup' node $setup --no-build
printf '\n@@ setup status\n%s\n' $?
record 'configuration kept' cmp /tmp/configuration/ppp-routed.toml /etc/ppp-routed/ppp-routed.toml
listing >/tmp/files.installed
record 'setup again' node $setup --no-build
listing >/tmp/files.again
record 'changed by setup again' diff /tmp/files.installed /tmp/files.again
record 'enabled' systemctl is-enabled ppp-routed.socket ppp-routed-control.socket ppp-routed-resolve.socket ppp-routed.service
record 'service' systemctl show ppp-routed -p ActiveState -p SubState -p User -p NRestarts
record 'status at first' systemctl show ppp-routed -p StatusText --value
record 'hooks' ls /etc/ppp/ip-up.d /etc/ppp/ip-down.d /etc/ppp/ipv6-up.d /etc/ppp/ipv6-down.d
record 'modes' stat -c '%A %U:%G %n' /run/ppp-routed /run/ppp-routed/hook.sock /run/ppp-routed/control.sock /run/ppp-routed/resolve.sock \
  /run/ppp-routed/spool /run/ppp-routed/state
record 'capabilities' grep -E 'Cap(Eff|Bnd)' "/proc/$(systemctl show ppp-routed -p MainPID --value)/status"
record 'hook socket as nobody' as_user nobody /run/ppp-routed/hook.sock
record 'control socket as nobody' as_user nobody /run/ppp-routed/control.sock
record 'hook socket as the service' as_user ppp-routed /run/ppp-routed/hook.sock
record 'exposure' systemd-analyze security --no-pager ppp-routed.service

# One link, up and down.
add_link ppp0 10.99.0.2 10.99.0.1
record 'table before' table
as_pppd ip-up ppp0 10.99.0.2 10.99.0.1 work
printf '\n@@ hook status\n%s\n' $?
record 'routes while up' ip route show
record 'status while up' systemctl status --no-pager --lines 0 ppp-routed
record 'state' cat /run/ppp-routed/state/state.json
record 'state mode' stat -c '%A %U:%G' /run/ppp-routed/state/state.json
as_pppd ip-down ppp0 10.99.0.2 10.99.0.1 work
record 'table after' table
record 'journal' journalctl --no-pager -o json --output-fields MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,PPP_LINK -u ppp-routed

# A restart while events wait in the socket. The daemon is held so that they have to.
systemctl kill --kill-whom main -s STOP ppp-routed
links_up 0 1 2 3 4 &
until_true 2 five_are_queued
record 'queued' queued
record 'spooled while queued' spooled
record 'socket before restart' stat -c %i /run/ppp-routed/hook.sock
systemctl restart ppp-routed
wait
record 'socket after restart' stat -c %i /run/ppp-routed/hook.sock
until_true 2 five_are_ours
record 'routes of queued events' ours
record 'spooled after restart' spooled

# No sockets either: events go to the spool, and the next start applies them.
links_down 0 1 2 3 4
record 'routes of no link' ours
systemctl stop ppp-routed.socket ppp-routed-control.socket ppp-routed.service
links_up 0 1 2
record 'spooled while stopped' spooled
systemctl start ppp-routed
until_true 2 nothing_is_spooled
record 'routes of spooled events' ours
record 'spooled after start' spooled
links_down 0 1 2

# Stopped while a link is up, routes stay; killed, it comes back by itself and knows.
as_pppd ip-up ppp0 10.99.0.2 10.99.0.1 work
record 'table while up' table
systemctl stop ppp-routed
record 'table while stopped' table
systemctl start ppp-routed
systemctl kill --kill-whom main -s KILL ppp-routed
until_true 3 has_restarted_itself
record 'service after a kill' systemctl show ppp-routed -p NRestarts -p SubState
record 'status after a kill' systemctl show ppp-routed -p StatusText --value
record 'table after a kill' table

# Where the uplink cannot be put back, nothing is taken away: no socket to start the daemon by, and no ip.
systemctl stop ppp-routed.socket ppp-routed-control.socket ppp-routed.service
chmod a-x "$(command -v ip)"
record 'unsetup without ip' node $unsetup
printf '\n@@ unsetup without ip status\n%s\n' $?
record 'kept without ip' ls -d /run/ppp-routed/state/state.json /etc/ppp-routed/ppp-routed.toml /usr/bin/ppp-routectl
record 'enabled without ip' systemctl is-enabled ppp-routed.service
chmod a+x /usr/bin/ip
systemctl start ppp-routed

# Taken away while a link is up: the uplink comes back, and no trace stays.
record 'unsetup' node $unsetup
printf '\n@@ unsetup status\n%s\n' $?
record 'table after unsetup' table
ip link del ppp0
record 'table at last' table
record 'users' sh -c 'getent passwd ppp-routed; getent group ppp-routed'
record 'units' systemctl list-units --all --no-legend --plain 'ppp-routed*'
listing >/tmp/files.after
record 'traces' diff /tmp/files.before /tmp/files.after
record 'end' true
