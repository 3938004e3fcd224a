#!/bin/bash
# In a guest under systemd: what the installed unit may do, and what it may not.
# shellcheck source-path=SCRIPTDIR source=common.sh
# shellcheck source=test/vm/guest/common.sh
. /share/common.sh

everything() {
  ip -4 route show table all | grep -v ' table local '
  ip rule show | grep -vE 'lookup (local|main|default) *$'
  ip -6 route show table all | grep -vE '^(local|multicast|fe80::)'
  ip -6 rule show | grep -vE 'lookup (local|main) *$'
  ip neigh show proxy
}
exposure() { systemd-analyze security --no-pager --threshold=11 "$1" >/tmp/exposure && echo passed; tail -1 /tmp/exposure; }
main_pid() { systemctl show ppp-routed -p MainPID --value; }
children() {
  while read -r pid; do grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' "/proc/$pid/status" | tr -s '\t\n' ' ' && echo; done \
    </sys/fs/cgroup/system.slice/ppp-routed.service/cgroup.procs
}
on_journal() { journalctl --no-pager -o cat -u ppp-routed | grep '^probe'; }

add_uplink
echo 1 >/proc/sys/net/ipv4/conf/up0/forwarding
ip -6 addr add 2001:db8::2/64 dev up0 nodad
ip -6 route add default via 2001:db8::1 dev up0 metric 100
echo '203.0.113.5 vpn.example' >>/etc/hosts
mkdir -p /etc/ppp-routed
for mode in replace metric half table none; do
  printf '[link.%s]\nserver = "vpn.example"\ndefault-route = "%s"\nipv6 = "route"\nnetworks = ["198.51.100.0/24"]\nproxy-arp = "auto"\n' \
    $mode $mode
done >/etc/ppp-routed/ppp-routed.toml
node /share/project/scripts/setup.mjs --no-build >/dev/null

record 'exposure' exposure ppp-routed.service
record 'exposure of the resolver' exposure ppp-routed-resolve.service

record 'identity' grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp):' "/proc/$(main_pid)/status"
record 'user' id -u ppp-routed
record 'children' children

# The same attempts as root outside: each has to succeed there, or it says nothing.
install -m644 /share/probe.pl /usr/local/lib/probe.pl
record 'probe outside' perl /usr/local/lib/probe.pl
# Inside the very unit, beside the daemon.
mkdir -p /run/systemd/system/ppp-routed.service.d
printf '[Service]\nExecStartPost=/usr/bin/perl /usr/local/lib/probe.pl\n' >/run/systemd/system/ppp-routed.service.d/probe.conf
systemctl daemon-reload
systemctl restart ppp-routed
record 'probe inside' on_journal
rm -r /run/systemd/system/ppp-routed.service.d
systemctl daemon-reload

# ppp0's far end is on the LAN, as it is where pppd answers ARP for it.
add_link ppp0 192.0.2.200 192.0.2.77
echo 1 >/proc/sys/net/ipv4/conf/ppp0/forwarding
ip -6 addr add fe80::1 peer fe80::2 dev ppp0 nodad
record 'before' everything
for mode in replace metric half table none; do
  as_pppd ip-up ppp0 192.0.2.200 192.0.2.77 $mode
  as_pppd ipv6-up ppp0 fe80::1 fe80::2 $mode
  record "$mode" everything
  record "$mode, status" systemctl show ppp-routed -p StatusText --value
  as_pppd ipv6-down ppp0 fe80::1 fe80::2 $mode
  as_pppd ip-down ppp0 192.0.2.200 192.0.2.77 $mode
  record "after $mode" everything
done
record 'resolver' systemctl show ppp-routed-resolve -p ActiveState --value
record 'warnings' journalctl --no-pager -q -o cat -p warning -u ppp-routed -u ppp-routed-resolve
record 'end' true
