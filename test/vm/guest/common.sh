# shellcheck shell=bash
# Sourced by the guests' scripts. They do things and record what there was to see; the tests on the host judge it.

# record NAME COMMAND…: a section of the output, which the host reads by its name.
record() {
  printf '\n@@ %s\n' "$1"
  shift
  "$@" 2>&1
}

# until_true SECONDS COMMAND…: waits for the command to succeed.
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.02
  done
}

table() { ip -d route show table all; }

# as_pppd ACTION IFNAME LOCAL REMOTE IPPARAM: runs /etc/ppp/ACTION the way pppd does.
as_pppd() (
  cd / || exit
  umask 077
  exec env -i PPPD_PID=$$ IFNAME="$2" PPPLOGNAME=root ORIG_UID=0 LINKNAME=link SPEED=38400 DEVICE=/dev/pts/0 \
    IPLOCAL="$3" IPREMOTE="$4" UNIT=0 \
    "/etc/ppp/$1" "$2" /dev/pts/0 38400 "$3" "$4" "$5" </dev/null >/dev/null 2>&1
)

# add_uplink: up0 with a default route that has attributes worth keeping.
add_uplink() {
  ip link set lo up
  ip link add up0 type veth peer name up1
  quiet up0 up1
  ip link set up1 up
  ip addr add 192.0.2.2/24 dev up0
  ip link set up0 up
  ip route add default via 192.0.2.1 dev up0 proto dhcp src 192.0.2.2 metric 100
}

# add_link NAME ADDRESS PEER: an interface that looks like a PPP link to routes.
add_link() {
  ip link add "$1" type veth peer name "$1-far"
  quiet "$1" "$1-far"
  ip link set "$1-far" up
  ip addr add "$2" peer "$3" dev "$1"
  ip link set "$1" up
  # The kernel's own routes of IPv6 come a while later, and would make two tables differ.
  until_true 2 has_multicast "$1"
}

has_multicast() { [ -n "$(ip -6 route show table local ff00::/8 dev "$1")" ]; }

# quiet NAME…: no link-local addresses, which come up a while later and would make two tables differ.
quiet() { for name in "$@"; do ip link set "$name" addrgenmode none; done; }
