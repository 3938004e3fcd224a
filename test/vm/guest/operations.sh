#!/bin/bash
# In a guest under systemd: the story that docs/operations.md tells. What is printed here stands there.
# shellcheck source-path=SCRIPTDIR source=common.sh
# shellcheck source=test/vm/guest/common.sh
. /share/common.sh

configuration=/etc/ppp-routed/ppp-routed.toml
# shows COMMAND…: as it would be on a terminal.
shows() {
  for command in "$@"; do
    # What only a terminal needs not, and a script does, is left out of what is shown.
    echo "# ${command// --no-pager -q/}" | sed "s/ --no-pager//; s/ 2>.*//"
    bash -c "$command" 2>&1
  done
}
transcript() { journalctl --sync && record "$1" shows "${@:2}"; }
since() { journalctl --sync && since="--since '$(date '+%F %T.%6N')'"; }
# lines NAME: what ppp-routed has said since `since`, under the command that a person would type.
lines() {
  journalctl --sync
  printf '\n@@ %s\n# journalctl -u ppp-routed\n' "$1"
  eval "journalctl --no-pager -q -u ppp-routed $since"
}
has_recovered() { [ "$(systemctl show ppp-routed -P NRestarts)" -gt 0 ] && systemctl is-active -q ppp-routed; }
status_begins() { [[ $(systemctl show ppp-routed -p StatusText --value) == "$1"* ]]; }
status() { echo "systemctl status --no-pager --full --lines=${1-0} ppp-routed"; }
brief='systemctl show ppp-routed -P StatusText'
up() { as_pppd ip-up ppp0 10.99.0.2 10.99.0.1 work; }
down() { as_pppd ip-down ppp0 10.99.0.2 10.99.0.1 work; }
profile() { printf '[link.work]\ndefault-route = "replace"\nserver = "%s"\n' "${1-203.0.113.5}" >$configuration; }

add_uplink
add_link ppp0 10.99.0.2 10.99.0.1
add_link ppp1 10.98.0.2 10.98.0.1
mkdir -p /etc/ppp-routed
profile
since
node /share/project/scripts/setup.mjs --no-build >/dev/null
transcript 'at rest' "$(status)"

since
up
transcript 'up' "$(status 4)" 'ip route' "ppp-routectl explain 203.0.113.5"
transcript 'fields' "journalctl --no-pager -q -o cat PPP_LINK=ppp0"
transcript 'exposure' "systemd-analyze security --no-pager ppp-routed.service | tail -1"

since
down
lines 'down'
journalctl --sync
record 'explained' shows 'journalctl --no-pager -q -x -n 1 MESSAGE_ID=14d35c8e01b0471ca943cde87910940c'

since
as_pppd ip-up ppp1 10.98.0.2 10.98.0.1 guests
lines 'left alone'
as_pppd ip-down ppp1 10.98.0.2 10.98.0.1 guests
up

# A bad edit.
since
sed -i 's/"replace"/"replaec"/' $configuration
until_true 3 status_begins degraded:
transcript 'bad edit' "$brief" 'systemctl reload ppp-routed' 'journalctl --no-pager -q -p warning -n 1 -t ppp-routed' 'ppp-routectl status'
profile
until_true 3 status_begins work:
transcript 'good edit' "$brief"

# pppd is killed: the interface goes, and nobody says a word.
since
ip link del ppp0
until_true 3 status_begins 'no link'
lines 'killed'
add_link ppp0 10.99.0.2 10.99.0.1

# A name that does not resolve.
profile vpn.example
systemctl reload ppp-routed
up
transcript 'no address' "$brief" 'ppp-routectl status'
down
profile
systemctl reload ppp-routed

# The disk is full.
mount -t tmpfs -o size=64k full /run/ppp-routed/state
chown ppp-routed: /run/ppp-routed/state
systemctl restart ppp-routed
head -c 1M /dev/zero >/run/ppp-routed/state/ballast 2>/dev/null
up
transcript 'disk full' "$brief"
rm /run/ppp-routed/state/ballast
until_true 8 status_begins work:
transcript 'room again' "$brief"
down

# A hang. WatchdogSec= is shorter here, for the story's sake.
mkdir -p /run/systemd/system/ppp-routed.service.d
printf '[Service]\nWatchdogSec=2s\n' >/run/systemd/system/ppp-routed.service.d/short.conf
systemctl daemon-reload
systemctl restart ppp-routed
up
since
systemctl kill --kill-whom main -s STOP ppp-routed
until_true 8 has_recovered
lines 'hang'
down

# Stopped, while hooks have something to tell.
since
systemctl stop ppp-routed.socket ppp-routed-control.socket ppp-routed
up
transcript 'stopped' "$brief" 'ls /run/ppp-routed/spool'
since
systemctl start ppp-routed
until_true 3 status_begins work:
lines 'started again'

# For good.
transcript 'for good' 'systemctl disable --now ppp-routed ppp-routed.socket ppp-routed-control.socket 2>/dev/null' 'ip route show default' 'ppp-routectl restore' 'ip route show default'
record 'end' true
