#!/bin/bash
# In a guest under systemd: what the service costs and says when nothing happens.
# shellcheck source-path=SCRIPTDIR source=common.sh
# shellcheck source=test/vm/guest/common.sh
. /share/common.sh

usage() { systemctl show ppp-routed -p CPUUsageNSec --value; }
lines() { journalctl -q -o cat -u ppp-routed | wc -l; }

add_uplink
add_link ppp0 10.99.0.2 10.99.0.1
mkdir -p /etc/ppp-routed
printf '[link.work]\ndefault-route = "replace"\nserver = "203.0.113.5"\n' >/etc/ppp-routed/ppp-routed.toml
node /share/project/scripts/setup.mjs --no-build >/dev/null
as_pppd ip-up ppp0 10.99.0.2 10.99.0.1 work
# JavaScript puts its memory in order a while after it had something to do.
sleep 20
used=$(usage) said=$(lines)
# Long enough for one look of the watchdog's.
sleep 16
record 'nanoseconds in 16 s' echo $(($(usage) - used))
record 'lines in 16 s' echo $(($(lines) - said))
record 'memory' grep VmRSS "/proc/$(systemctl show ppp-routed -p MainPID --value)/status"
record 'end' true
