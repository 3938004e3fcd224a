#!/bin/bash
# In a guest under systemd: events while the daemon is restarted, killed and upgraded; how it goes, and its place in the order.
# shellcheck source-path=SCRIPTDIR source=common.sh
# shellcheck source=test/vm/guest/common.sh
. /share/common.sh

setup=/share/project/scripts/setup.mjs
hooks=/usr/lib/ppp-routed/hooks
links=50

# event NAME LINK NUMBER: as pppd calls the hook; the far end's address tells one event from all others.
event() {
  env -i PPPD_PID=$$ "$hooks/$1" "q$2" /dev/pts/0 38400 "10.98.$2.2" "10.97.$2.$3" many </dev/null >/dev/null 2>>/tmp/complaints
  sleep 0.02
}
# Links 0 to 24 come up and go down ten times; links 25 to 49 go down and come up.
twenty_events() {
  for n in 1 2 3 4 5 6 7 8 9 10; do
    [ "$1" -lt 25 ] || event ip-down "$1" $n
    event ip-up "$1" $n
    [ "$1" -ge 25 ] || event ip-down "$1" $n
    echo "$1" >>/tmp/done
  done
}
all_events() {
  for first in 0 5 10 15 20 25 30 35 40 45; do
    for link in 0 1 2 3 4; do twenty_events $((first + link)); done &
  done
  wait
}
main_pid() { systemctl show ppp-routed -p MainPID --value; }
is_another() { [ "$(main_pid)" != "$1" ] && systemctl is-active --quiet ppp-routed; }
spooled() { find /run/ppp-routed/spool -maxdepth 1 -name '[0-9]*'; }
nothing_is_spooled() { [ -z "$(spooled)" ]; }
ours() { ip route show proto ppp-routed | sort; }
is_complete() { [ "$(ours | wc -l)" = 25 ] && nothing_is_spooled; }

add_uplink
for ((n = 0; n < links; n++)); do
  echo "link add q$n type veth peer name far$n"
  echo "link set q$n addrgenmode none"
  echo "link set far$n addrgenmode none up"
  echo "link set q$n up"
  echo "address add 10.98.$n.2/32 dev q$n"
done | ip -batch -
mkdir -p /etc/ppp-routed
for ((n = 0; n < links; n++)); do
  printf '[link.q%s]\nmatch = { interface = "q%s" }\nserver = "none"\nnetworks = ["198.51.100.%s/32"]\n' $n $n $n
done >/etc/ppp-routed/ppp-routed.toml
node $setup --no-build >/dev/null
record 'order' systemctl show ppp-routed.service ppp-routed.socket -p Id -p After -p Before -p Conflicts -p Wants

# A thousand events, twenty restarts.
all_events &
events=$!
for ((n = 1; n <= 20; n++)); do
  before=$(main_pid)
  case $n in
    5 | 15) # An upgrade: another program in the same place.
      echo "// $n" >>/share/project/dist/ppp-routed.js
      node $setup --no-build >/dev/null
      ;;
    *[02468]) systemctl kill --kill-whom main -s KILL ppp-routed ;;
    *) systemctl restart ppp-routed ;;
  esac
  until_true 5 is_another "$before"
done
record 'events before the last restart' sh -c 'wc -l </tmp/done'
wait $events
until_true 10 is_complete
record 'routes' ours
record 'spooled' spooled
record 'complaints' sort -u /tmp/complaints
journalctl --sync
record 'ups in the journal' sh -c 'journalctl -q --no-pager -o cat -u ppp-routed PPP_EVENT=ip-up | grep -o "to 10\.97\.[0-9]*\.[0-9]*," | sort -u | wc -l'
record 'downs in the journal' sh -c 'journalctl -q --no-pager -o cat -u ppp-routed PPP_EVENT=ip-down | cut -d: -f1 | sort | uniq -c'
record 'starts' sh -c 'journalctl -q --no-pager -o cat -u ppp-routed | grep -c ^ready:'
record 'status' systemctl show ppp-routed -p StatusText --value

# Disabled, and the uplink put back by hand.
sed -i '1i[link.work]\ndefault-route = "replace"\nserver = "203.0.113.5"' /etc/ppp-routed/ppp-routed.toml
systemctl reload ppp-routed
add_link ppp0 10.99.0.2 10.99.0.1
record 'default before' ip route show default
as_pppd ip-up ppp0 10.99.0.2 10.99.0.1 work
record 'default while up' ip route show default
systemctl disable --now ppp-routed 2>/dev/null
record 'default when disabled' ip route show default
record 'enabled' systemctl is-enabled ppp-routed.service ppp-routed.socket ppp-routed-control.socket ppp-routed-resolve.socket
systemctl stop ppp-routed.socket ppp-routed-control.socket ppp-routed-resolve.socket
record 'running' systemctl is-active ppp-routed.service ppp-routed.socket ppp-routed-control.socket
ppp-routectl restore >/dev/null
record 'default after restore' ip route show default
as_pppd ip-down ppp0 10.99.0.2 10.99.0.1 work
ip link del ppp0

# At a shutdown: a dialer that is stopped finds the daemon to put the uplink back. (After=vmtest: this script goes last.)
rm -f /run/ppp-routed/spool/0*
systemctl enable --quiet --now ppp-routed
add_link ppp0 10.99.0.2 10.99.0.1
cat >/run/systemd/system/dialer.service <<'UNIT'
[Unit]
After=network.target vmtest.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'PPPD_PID=1 /etc/ppp/ip-up ppp0 /dev/pts/0 38400 10.99.0.2 10.99.0.1 work'
ExecStop=/bin/sh -c 'PPPD_PID=1 /etc/ppp/ip-down ppp0 /dev/pts/0 38400 10.99.0.2 10.99.0.1 work'
ExecStop=/bin/sh -c 'echo; echo "@@ at shutdown"; ip route show default; systemctl is-active ppp-routed; sync'
StandardOutput=append:/share/out
UNIT
systemctl daemon-reload
systemctl start --no-block dialer
until_true 3 systemctl -q is-active dialer
record 'before the shutdown' ip route show default
record 'end' true
systemctl start --no-block poweroff.target
sleep 30
