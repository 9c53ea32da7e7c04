#!/bin/sh
# Makes, once, what the booted tests need: a Debian tree to boot and the tool that boots it. Installs nothing on this machine.
#
#   CACHE    where both are kept     ~/.cache/rebellion-test-system
#
# Ends with 69 and one line on standard error when this machine cannot do it.
set -eu

CACHE=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rebellion-test-system}
PACKAGES=systemd,systemd-sysv,dbus,python3,python3-venv,procps,iproute2,make

cannot() { printf 'cannot boot a container here: %s\n' "$*" >&2; exit 69; }
step() { printf '%s\n' "$*" >&2; }

check_machine() {
    [ "$(id -u)" = 0 ] || cannot "it needs root (got user $(id -un)); try: sudo make test-system"
    [ "$(uname -s)" = Linux ] || cannot "it needs Linux (got $(uname -s))"
    for tool in apt-get dpkg dpkg-deb nsenter unshare setsid flock wget gpgv; do
        command -v "$tool" >/dev/null || cannot "$tool is not installed"
    done
    codename=$(. /etc/os-release && [ "${ID:-}" = debian ] && printf '%s' "${VERSION_CODENAME:-}") ||
        cannot "it boots the Debian that this machine runs, and this is none"
    unshare --mount --pid --fork --uts --ipc --net true 2>/dev/null || cannot "the kernel allows no new namespaces"
}

mirror() {
    apt-get indextargets --format '$(SITE)|$(CODENAME)|$(LABEL)' 'Created-By: Packages' |
        sed -n "s/|$codename|Debian\$//p" | head -n 1
}

# $1 = folder. The packages are unpacked, not installed: installing them would upgrade this machine's systemd.
fetch_tools() {
    mkdir -p "$1"
    (
        cd "$1"
        packages="systemd-container libsystemd-shared debootstrap"
        # shellcheck disable=SC2086
        apt-get -qq download $packages 2>apt.log || { apt-get -qq update && apt-get -qq download $packages 2>apt.log; } ||
            { cat apt.log >&2; cannot "apt-get download $packages failed"; }
        for package in *.deb; do dpkg-deb -x "$package" .; done
        rm -f ./*.deb apt.log
    )
}

make_rootfs() {
    from=$(mirror)
    [ -n "$from" ] || cannot "apt names no mirror of $codename"
    step "making a tree of $codename from the mirror of apt, once (about 80 s)"
    DEBOOTSTRAP_DIR=$CACHE/tools/usr/share/debootstrap nice "$CACHE/tools/usr/sbin/debootstrap" \
        --variant=minbase --include="$PACKAGES" "$codename" "$CACHE/rootfs.part" "$from" >"$CACHE/debootstrap.log" 2>&1 ||
        { tail -n 5 "$CACHE/debootstrap.log" >&2; cannot "debootstrap failed"; }
    rm -rf "$CACHE/rootfs.part/var/cache/apt/archives" "$CACHE/rootfs.part/var/lib/apt/lists"
    mkdir -p "$CACHE/rootfs.part/var/cache/apt/archives/partial" "$CACHE/rootfs.part/var/lib/apt/lists/partial"
    mv "$CACHE/rootfs.part" "$CACHE/rootfs"
}

check_machine
mkdir -p "$CACHE"
exec 9>"$CACHE/lock"
flock 9
wanted="$codename $PACKAGES"
if [ "$(cat "$CACHE/made" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$CACHE/tools" "$CACHE/rootfs" "$CACHE/rootfs.part"
    fetch_tools "$CACHE/tools"
    make_rootfs
    printf '%s\n' "$wanted" >"$CACHE/made"
fi
printf '%s\n' "$CACHE"
