#!/bin/bash
# Tier d, in a guest with PPP in its kernel: two real pppds back to back, hooks as setup installs them.
# Forks are slow here (50 to 100 ms, one processor), so whatever waits or measures does it without.
# shellcheck source-path=SCRIPTDIR source=common.sh
# shellcheck source=test/vm/guest/common.sh
. /share/common.sh
mkfifo /tmp/never
exec 8<>/tmp/never
nap() { read -rt "$1" -u 8; }

# has_default DEVICE: reads the kernel's own list.
has_default() {
  local line
  mapfile -t lines </proc/net/route
  for line in "${lines[@]}"; do [[ $line == "$1"$'\t'00000000$'\t'* ]] && return; done
  return 1
}

# milliseconds_until COMMAND…: how long it took to come true, looking every 5 ms; 10 s at most.
milliseconds_until() {
  local start=${EPOCHREALTIME/./} now
  while :; do
    "$@" && now=${EPOCHREALTIME/./} && echo $(((now - start) / 1000)) && return
    [ $((${EPOCHREALTIME/./} - start)) -gt 10000000 ] && echo 'never (waited 10 s)' && return 1
    nap 0.005
  done
}

is_on_uplink() { has_default up0 && ! has_default ppp0; }
is_on_link() { has_default ppp0 && ! has_default up0; }
is_as_before() { [ "$(table)" = "$before" ]; }

# The far end is another machine: its own network, its own /run (or both pppds fight over ppp0.pid), no hooks.
make_far_end() {
  ip netns add far
  ip -n far link set lo up
  ip -n far addr add 198.51.100.77/32 dev lo
  touch /tmp/far
  mount --bind /run/netns/far /tmp/far
  cat >/usr/local/sbin/far-pppd <<'EOF'
#!/bin/sh
exec unshare -m sh -c '
  mount -t tmpfs run /run; mkdir /run/lock; mount -t tmpfs ppp /etc/ppp; exec nsenter --net=/tmp/far pppd "$@"' far "$@"
EOF
  chmod +x /usr/local/sbin/far-pppd
  echo 'noauth noipdefault local +ipv6 ipparam work
    pty "exec far-pppd notty nodetach noauth local nodefaultroute +ipv6 10.99.0.1:10.99.0.2"' >/etc/ppp/peers/work
}

dial() {
  pppd nodetach call work logfile /tmp/pppd.log "$@" >/dev/null 2>&1 &
  pppd=$!
  milliseconds_until is_on_link
}
kill_far_end() { pkill -KILL -f '^pppd notty'; }
hang_up() {
  kill -TERM "$pppd"
  wait "$pppd"
  milliseconds_until is_as_before
}

add_uplink
make_far_end
before=$(table)
record 'table before' echo "$before"
mkdir /etc/ppp-routed
printf '[link.work]\ndefault-route = "replace"\nserver = "203.0.113.5"\n' >/etc/ppp-routed/ppp-routed.toml
record 'setup' node /share/project/scripts/setup.mjs --no-build
record 'service' systemctl is-active ppp-routed

record 'up' dial
record 'routes while up' ip route show
record 'state' cat /run/ppp-routed/state/state.json
record 'status while up' systemctl show ppp-routed -p StatusText --value
record 'ping through the link' ping -c 1 -W 3 198.51.100.77
record 'SIGTERM' hang_up
record 'table after SIGTERM' table

record 'up again' dial
kill -KILL "$pppd"
record 'SIGKILL' milliseconds_until is_on_uplink
wait "$pppd" 2>/dev/null
milliseconds_until is_as_before >/dev/null
record 'table after SIGKILL' table
record 'status after SIGKILL' systemctl show ppp-routed -p StatusText --value
kill_far_end

record 'up with persist' dial persist holdoff 1 maxfail 0
first=$(</sys/class/net/ppp0/ifindex)
kill_far_end
record 'lost far end' milliseconds_until is_on_uplink
record 'up by itself' milliseconds_until is_on_link
record 'interface before and after' echo "$first" "$(</sys/class/net/ppp0/ifindex)"
record 'routes after the flap' ip route show
record 'ping after the flap' ping -c 1 -W 3 198.51.100.77
record 'hang up' hang_up
record 'table at last' table
cat /tmp/pppd.log >&2
record 'end' true
