#!/bin/sh
# The first process of a User-Mode Linux peer: a shell that takes commands from its console.
# One line in: a command. Out: what it prints, then "@RC <exit code>". "QUIT", or the end of input, powers off.
D=$(dirname "$(readlink -f "$0")")
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /run
export TMPDIR=/run PATH=/usr/sbin:/usr/bin:/sbin:/bin
echo "$D/modprobe.sh" > /proc/sys/kernel/modprobe
modprobe() { "$D/modprobe.sh" "$@"; }
ip link set lo up
stty -echo -icanon -onlcr 2>/dev/null
echo "@READY"
while IFS= read -r line; do
  [ "$line" = QUIT ] && break
  eval "$line" 2>&1
  echo "@RC $?"
done
echo o > /proc/sysrq-trigger
sleep 5
