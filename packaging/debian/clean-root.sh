#!/bin/sh
# Installs the package in a clean Debian root, carries traffic with it, goes to the next package and back while traffic
# flows, removes it, and looks for what it left. `cargo xtask package --test` runs this as root, in a mount namespace of
# its own, with the root, the package and the next one as arguments.
set -eu
root=$1 package=$2 next=$3

name=transload-package-$$
gateway= traffic=
# Pings lost in the best exchange of one gateway for another, in 20 ms: the best of three, since a busy machine delays some.
most_lost=10 best=

say() { printf '== %s\n' "$*"; }
fail() { printf 'clean root: %s\n' "$*" >&2; exit 1; }
inside() { chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"; }
install() { inside apt-get install -y -qq --no-install-recommends --allow-downgrades "/root/$1"; }
version() { inside dpkg-query --show --showformat '${Version}' transload; }

# In a network namespace of this test: `on gateway ping ..`.
on() {
    namespace=$name-$1
    shift
    ip netns exec "$namespace" "$@"
}

clean_up() {
    for pid in $traffic $gateway; do kill "$pid" 2>/dev/null || true; done
    wait
    for place in gateway leaf host; do ip netns delete "$name-$place" 2>/dev/null || true; done
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# Starts the gateway of the root in its network namespace; arguments are those of `run`.
start() {
    # The process that is started is the gateway in the end.
    ip netns exec "$name-gateway" sh -c 'mount -t sysfs sysfs "$0/sys" && exec chroot "$0" transload run "$@"' \
        "$root" "$@" /etc/transload/gateway.yaml >"$root/root/gateway.log" 2>&1 &
    gateway=$!
}

# Waits until it answers.
is_ready() {
    for _ in $(seq 300); do
        kill -0 "$gateway" 2>/dev/null || break
        ! inside transload show ports >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    cat "$root/root/gateway.log" >&2
    fail "the gateway does not start"
}

replace() {
    old=$gateway
    start --replace
    wait "$old" || fail "the gateway that was replaced ended with $?"
    is_ready
}

reaches() { on leaf ping -q -c 5 -i 0.1 -W 5 10.0.0.2 >/dev/null || fail "no traffic $1"; }

# A ping every so many seconds, until `stop_load` says in `missing` how many were lost: those that were not answered though a
# later one was.
load() {
    ip netns exec "$name-leaf" ping -n -i "$1" -W 5 10.0.0.2 >"$root/root/ping" &
    traffic=$!
}
stop_load() {
    kill -INT "$traffic"
    wait "$traffic" || true
    traffic=
    missing=$(awk '
        / bytes from / && match($0, /icmp_seq=[0-9]+/) {
            number = substr($0, RSTART + 9, RLENGTH - 9) + 0
            if (!(number in answered)) count++
            answered[number]
            if (number > last) last = number
        }
        END { print last - count; exit count < 100 }' "$root/root/ping") || fail "hardly a ping was answered"
}

# Has another gateway take the place of the one that runs, under five hundred pings a second.
exchange() {
    load 0.002
    sleep 1
    replace
    sleep 1
    stop_load
    say "pings lost while the gateway was exchanged, one every 2 ms: $missing"
    if [ -z "$best" ] || [ "$missing" -lt "$best" ]; then best=$missing; fi
}

mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
cp "$package" "$root/root/this.deb"
cp "$next" "$root/root/next.deb"
inside apt-get update -qq

say "install $(basename "$package")"
install this.deb >/dev/null
first=$(version)
inside transload --version
for file in "$root"/usr/share/doc/transload/examples/*.yaml; do
    inside transload check "${file#"$root"}" >/dev/null || fail "sample $file"
done
for file in man/man1/transload.1.gz man/man1/transload-run.1.gz man/man5/transload.yaml.5.gz \
    bash-completion/completions/transload zsh/vendor-completions/_transload fish/vendor_completions.d/transload.fish \
    doc/transload/copyright doc/transload/changelog.Debian.gz doc/transload/THIRD-PARTY.gz \
    doc/transload/docs/EVENTS.md doc/transload/docs/MONITORING.md doc/transload/docs/ROWS.md \
    doc/transload/docs/monitoring/dashboard.png doc/transload/packaging/grafana/transload.json \
    doc/transload/packaging/prometheus/prometheus.yml doc/transload/packaging/prometheus/transload.rules.yml; do
    [ -s "$root/usr/share/$file" ] || fail "/usr/share/$file is missing"
done
inside systemd-analyze verify --man=no transload.service || fail "systemd does not take the unit"
[ -L "$root/etc/systemd/system/multi-user.target.wants/transload.service" ] || fail "the unit is not enabled"

say "run"
for place in gateway leaf host; do
    ip netns add "$name-$place"
    ip -n "$name-$place" link set lo up
done
ip -n "$name-gateway" link add up1 type veth peer name eth0 netns "$name-leaf"
ip -n "$name-gateway" link add access type veth peer name eth0 netns "$name-host"
for device in up1 access; do ip -n "$name-gateway" link set "$device" up; done
for place in leaf host; do ip -n "$name-$place" link set eth0 up; done
ip -n "$name-gateway" address add 192.0.2.1/24 dev up1
ip -n "$name-leaf" address add 192.0.2.9/24 dev eth0
ip -n "$name-leaf" link add vx0 mtu 1400 type vxlan id 10100 local 192.0.2.9 remote 192.0.2.1 dstport 4789
ip -n "$name-leaf" link set vx0 up
ip -n "$name-leaf" address add 10.0.0.1/24 dev vx0
ip -n "$name-host" address add 10.0.0.2/24 dev eth0
cat >"$root/etc/transload/gateway.yaml" <<'FILE'
version: 1
ports:
  up1:    { device: up1 }
  access: { device: access }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up1] }
peers:
  leaf-9: { address: 192.0.2.9, encap: vxlan }
tenants:
  blue:
    attachments:
      nine: { peer: leaf-9, vni: 10100 }
      ce:   { port: access, untagged: true }
FILE
start
is_ready
reaches "through the gateway"

say "upgrade to $(basename "$next") under traffic"
load 0.01
sleep 1
install next.deb >/dev/null
sleep 1
[ "$(version)" != "$first" ] || fail "the package is the same as before"
kill -0 "$gateway" || fail "the upgrade stopped the gateway"
stop_load
[ "$missing" = 0 ] || fail "the upgrade of the package lost $missing pings"
exchange
reaches "after the upgrade"

say "and back"
install this.deb >/dev/null
[ "$(version)" = "$first" ] || fail "the package is not the first again"
kill -0 "$gateway" || fail "the downgrade stopped the gateway"
exchange
reaches "after the downgrade"
[ "$best" -le "$most_lost" ] || exchange
[ "$best" -le "$most_lost" ] || fail "every exchange lost more than $most_lost pings, the best one $best"

say "remove"
kill "$gateway"
wait "$gateway" || fail "the gateway ended with $?"
gateway=
inside apt-get remove -y -qq transload >/dev/null
[ ! -e "$root/usr/bin/transload" ] || fail "the program is still there"
[ -e "$root/etc/transload/gateway.yaml" ] || fail "the operator's file is gone"
rm "$root/etc/transload/gateway.yaml"
inside apt-get purge -y -qq transload >/dev/null
left=$(find "$root" -mindepth 1 -xdev -name '*transload*' -not -path "$root/proc/*" -not -path "$root/dev/*")
[ -z "$left" ] || fail "the package has left $left"
say "clean"
