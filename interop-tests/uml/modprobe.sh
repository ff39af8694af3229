#!/bin/sh
# Debian keeps User-Mode Linux's modules in /usr/lib/uml/modules; "modules/lib/modules" beside this script links there.
exec /sbin/modprobe -d "$(dirname "$(readlink -f "$0")")/modules" "$@"
