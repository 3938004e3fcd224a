#!/bin/sh
# queue-pppd.sh HOOKS RUN INTERFACE UPS: pppd's part for one link that comes and goes: one hook at a time, in its empty
# environment. The Nth up has the local address 10.UNIT.(N / 250).(N % 250), so that it is known again in the journal.
# Ends after the last up. A line an event: its name, N, the exit status, how long it took in centiseconds, and what the
# hook complained of.
set -eu
hooks=$1 run=$2 name=$3 ups=$4
unit=${name#ppp}

main() {
  n=1
  while [ "$n" -le "$ups" ]; do
    hook ip-up
    sleep 0.3 # no modem is faster
    [ "$n" -eq "$ups" ] || hook ip-down
    sleep 0.3
    n=$((n + 1))
  done
}

# hook EVENT
hook() {
  clock && started=$now
  status=0
  complaint=$(env -i RUNTIME_DIRECTORY="$run" IFNAME="$name" PPPD_PID="$$" "$hooks/$1" \
    "$name" /dev/pts/3 115200 "10.$unit.$((n / 250)).$((n % 250))" "10.99.$unit.1" "$name" 2>&1) || status=$?
  clock
  printf '%s %s %s %s %s\n' "$1" "$n" "$status" "$((now - started))" "$complaint"
}

# Centiseconds since boot. A leading zero would make the number octal.
clock() {
  read -r uptime _ </proc/uptime
  now=${uptime%.*}${uptime#*.}
  now=${now#0}
}

main
