#!/bin/bash
# In a guest under systemd: ready when it is, alive or restarted, and a status line that is true at every moment.
# shellcheck source-path=SCRIPTDIR source=common.sh
# shellcheck source=test/vm/guest/common.sh
. /share/common.sh

configuration=/etc/ppp-routed/ppp-routed.toml
unit_is() { [ "$(systemctl show ppp-routed -p ActiveState --value)" = "$1" ]; }
status() { systemctl show ppp-routed -p StatusText --value; }
status_begins() { [[ $(status) == "$1"* ]]; }
restarts() { systemctl show ppp-routed -p NRestarts --value; }
main_pid() { systemctl show ppp-routed -p MainPID --value; }
now() { echo "${EPOCHREALTIME/./}"; }
since() { echo $((($(now) - $1) / 1000)); }
# has_recovered RESTARTS: another one is ready.
has_recovered() { [ "$(restarts)" -gt "$1" ] && unit_is active; }
drop_in() {
  mkdir -p /run/systemd/system/ppp-routed.service.d
  printf '[Service]\n%s\n' "$1" >/run/systemd/system/ppp-routed.service.d/test.conf
  systemctl daemon-reload
}
no_drop_in() {
  rm -r /run/systemd/system/ppp-routed.service.d
  systemctl daemon-reload
}

add_uplink
add_link ppp0 10.99.0.2 10.99.0.1
before=$(table)
mkdir -p /etc/ppp-routed
printf '[link.work]\ndefault-route = "replace"\nserver = "203.0.113.5"\n' >$configuration
node /share/project/scripts/setup.mjs --no-build >/dev/null
record 'unit' systemctl show ppp-routed -p WatchdogUSec -p NotifyAccess -p Type -p TimeoutStartUSec
record 'status without a link' status

as_pppd ip-up ppp0 10.99.0.2 10.99.0.1 work
record 'status while up' status
record 'table while up' table

# Faults come into the status and go.
echo 'default-route = "sideways"' >>$configuration
until_true 3 status_begins degraded:
record 'status with a bad edit' status
record 'reload of a bad edit' systemctl reload ppp-routed
printf '\n@@ reload of a bad edit, status\n%s\n' $?
record 'state after it' systemctl show ppp-routed -p ActiveState --value
printf '[link.office]\nmatch = { ipparam = "work" }\ndefault-route = "replace"\nserver = "203.0.113.5"\n' >$configuration
# At once: systemctl reload returns when the configuration is in force.
record 'reload' systemctl reload ppp-routed
printf '\n@@ reload, status\n%s\n' $?
record 'status after the reload' status
pkill -KILL -f '^ip -o monitor'
until_true 3 status_begins degraded:
record 'status without a monitor' status
until_true 3 status_begins office:
record 'status with another' status

# Hangs. The time that a restart may take is counted from the hang.
cp /share/hang.mjs /usr/local/lib/hang.mjs
drop_in 'WatchdogSec=2s
Environment=NODE_OPTIONS=--import=/usr/local/lib/hang.mjs'
systemctl restart ppp-routed
sleep 3
record 'restarts of one that is well' restarts
for hang in STOP USR2; do
  count=$(restarts)
  begun=$(now)
  systemctl kill --kill-whom main -s $hang ppp-routed
  until_true 10 has_recovered "$count"
  record "recovered from $hang" since "$begun"
  record "status after $hang" status
  record "table after $hang" table
  record "result of $hang" journalctl -q --no-pager -o cat -u ppp-routed -g watchdog
done
no_drop_in
systemctl restart ppp-routed

# A start that takes longer than it may: the name of a server is looked up, and nobody answers.
systemctl stop ppp-routed
ip route flush proto ppp-routed
sed -i 's/203.0.113.5/vpn.example/' $configuration
systemctl start ppp-routed-resolve.service
systemctl kill -s STOP ppp-routed-resolve.service
drop_in 'TimeoutStartSec=700ms'
begun=$(now)
systemctl start ppp-routed &
is_routed() { ip route show default dev ppp0 | grep -q . && status | grep -q '^office: ppp0 up'; }
until_true 3 is_routed
record 'slow start, at first' systemctl show ppp-routed -p ActiveState -p SubState -p StatusText
record 'slow start, routes at first' table
wait
record 'slow start, milliseconds' since "$begun"
record 'slow start, then' systemctl show ppp-routed -p ActiveState -p SubState -p StatusText
record 'slow start, routes at once' ip route show default
record 'slow start, result' systemctl show ppp-routed -p Result --value
systemctl kill -s CONT ppp-routed-resolve.service
no_drop_in

systemctl stop ppp-routed
record 'status when stopped' status

# What systemd is told at a reload: a manager of our own takes it down.
perl -MSocket -e '$| = 1; socket(my $s, AF_UNIX, SOCK_DGRAM, 0); bind($s, pack_sockaddr_un("/tmp/notify")) or die;
  while (defined recv($s, my $told, 4096, 0)) { print "$told\n" } ' >>/tmp/told &
listener=$!
# CLOCK_MONOTONIC in microseconds: clock_gettime(2).
monotonic() {
  perl -MPOSIX=uname -e 'my $time = pack("qq", 0, 0); syscall((uname())[4] eq "x86_64" ? 228 : 113, 1, $time);
    my ($s, $ns) = unpack("qq", $time); printf "%d", $s * 1e6 + $ns / 1000'
}
until_true 2 test -S /tmp/notify
mkdir /tmp/run /tmp/state
NOTIFY_SOCKET=/tmp/notify RUNTIME_DIRECTORY=/tmp/run STATE_DIRECTORY=/tmp/state CONFIGURATION_DIRECTORY=/etc/ppp-routed \
  perl /usr/lib/ppp-routed/notify-exec.pl node /usr/lib/ppp-routed/ppp-routed.js >/dev/null &
daemon=$!
until_true 3 grep -q READY=1 /tmp/told
: >/tmp/told
begun=$(monotonic)
kill -HUP $daemon
until_true 3 grep -q READY=1 /tmp/told
record 'around the reload' echo "$begun $(monotonic)"
record 'what a reload tells' cat /tmp/told
kill $daemon
wait $daemon
kill $listener

systemctl start ppp-routed
as_pppd ip-down ppp0 10.99.0.2 10.99.0.1 work
record 'table before' echo "$before"
record 'table at last' table
record 'end' true
