#!/bin/bash
# In a guest under systemd: what stands in the journal, and what happens when the journal is not well.
# shellcheck source-path=SCRIPTDIR source=common.sh
# shellcheck source=test/vm/guest/common.sh
. /share/common.sh

configuration=/etc/ppp-routed
entries() {
  journalctl --sync
  journalctl --no-pager -q -o json "$@" _SYSTEMD_UNIT=ppp-routed.service \
    --output-fields MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,MESSAGE_ID,PPP_LINK,PPP_EVENT,PPP_PROFILE,ROUTE,_TRANSPORT
}
mark() { journalctl --sync && date '+%F %T.%6N'; }
status_begins() { [[ $(systemctl show ppp-routed -p StatusText --value) == "$1"* ]]; }
up() { as_pppd ip-up ppp0 10.99.0.2 10.99.0.1 work; }
down() { as_pppd ip-down ppp0 10.99.0.2 10.99.0.1 work; }
now() { echo "${EPOCHREALTIME/./}"; }

add_uplink
add_link ppp0 10.99.0.2 10.99.0.1
add_link ppp1 10.98.0.2 10.98.0.1
mkdir -p $configuration/links.d
printf '[link.work]\ndefault-route = "replace"\nserver = "203.0.113.5"\n' >$configuration/ppp-routed.toml
node /share/project/scripts/setup.mjs --no-build >/dev/null

up
up
as_pppd ip-up ppp1 10.98.0.2 10.98.0.1 guests
down
record 'entries' entries
record 'entries of ppp0' entries PPP_LINK=ppp0
record 'as a person reads it' journalctl --no-pager -q -o cat -u ppp-routed
record 'explained' journalctl --no-pager -q -x -u ppp-routed
record 'catalog' sh -c 'journalctl --list-catalog | grep ppp-routed'
record 'no trouble' journalctl --no-pager -q -o cat -p warning -u ppp-routed

# Trouble, in a file with a newline in its name.
since=$(mark)
printf '[link.x]\nmode = 1\n' >"$configuration/links.d/two
lines.toml"
until_true 3 status_begins degraded:
rm $configuration/links.d/*
until_true 3 status_begins unmanaged:
record 'trouble' entries --since="$since" -p warning
record 'trouble and its end' entries --since="$since"

# More than a datagram holds.
since=$(mark)
{ printf '[link.y]\n' && head -c 400000 /dev/zero | tr '\0' k && printf ' = 1\n'; } >$configuration/links.d/long.toml
until_true 5 status_begins degraded:
record 'status that is too long' systemctl show ppp-routed -p StatusText --value
rm $configuration/links.d/*
until_true 5 status_begins unmanaged:
record 'long trouble' entries --all --since="$since"

# journald is restarted, as in an upgrade.
since=$(mark)
systemctl restart systemd-journald
up
record 'after a restart of the journal' entries --since="$since"
down

# journald and its sockets are gone, and with them every descriptor that leads there.
systemctl stop systemd-journald.socket systemd-journald-dev-log.socket systemd-journald-audit.socket systemd-journald.service 2>/dev/null
up
record 'routes without a journal' ip route show default
down
# Few datagrams may wait in the new one, so that it is full soon.
echo 5 >/proc/sys/net/unix/max_dgram_qlen
systemctl start systemd-journald.socket systemd-journald-dev-log.socket systemd-journald.service
record 'the daemon lived on' systemctl show ppp-routed -p NRestarts -p ActiveState
systemctl restart ppp-routed
since=$(mark)
up
record 'with a new journal' entries --since="$since"
down

# journald hangs: nobody waits for it.
since=$(mark)
systemctl kill -s STOP systemd-journald
begun=$(now)
for _ in 1 2 3 4 5 6 7 8 9 10; do up; down; done
record 'milliseconds of 20 events while the journal hangs' echo $((($(now) - begun) / 1000))
systemctl kill -s CONT systemd-journald
record 'after the journal hung' entries --since="$since"
record 'end' true
