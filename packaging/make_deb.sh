#!/bin/sh
# Builds dist/rebellion-agent_VERSION_ARCHITECTURE.deb; `make deb` calls it. Needs no root.
#
#   PYTHON   the Python of the Debian that it is for; the package fits that minor version only     /usr/bin/python3
set -eu

PYTHON=${PYTHON:-/usr/bin/python3}
SOURCE=$(cd "$(dirname "$0")/.." && pwd)
NAME=rebellion-agent

die() { printf 'make deb: %s\n' "$*" >&2; exit 1; }

command -v dpkg-deb >/dev/null || die "dpkg-deb is not installed; it comes with Debian and its relatives"
[ -x "$PYTHON" ] || die "there is no $PYTHON; choose another: make deb DEB_PYTHON=/usr/bin/python3.11"
case $("$PYTHON" -c 'import os, sys; print(os.path.realpath(sys.executable))') in
    /usr/bin/*) ;;
    *) die "the package runs on Debian's own Python in /usr/bin (got $PYTHON); choose that: make deb DEB_PYTHON=/usr/bin/python3" ;;
esac

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$SOURCE/agent/__init__.py" | sed 's/\.\{0,1\}\(a\|b\|rc\|dev\)\([0-9]\)/~\1\2/')
[ -n "$version" ] || die "agent/__init__.py names no __version__"
architecture=$(dpkg --print-architecture)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
trap 'exit 130' INT TERM HUP
root=$stage/root

# $1 = how many minor versions after the one that it is built on
python_version() { "$PYTHON" -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1] + int(sys.argv[1])}")' "$1"; }

build_tree() {
    chmod 755 "$stage"
    mkdir -m 755 "$root"
    DESTDIR=$root PREFIX=/opt/rebellion LIBDIR=/usr/lib BINDIR=/usr/bin PYTHON=$PYTHON "$SOURCE/systemd/install.sh" install
    # Where it was built is nobody's business, and would differ from build to build.
    sed -i '/^command = /d' "$root/opt/rebellion/pyvenv.cfg"
    mkdir -p "$root/usr/share/doc/$NAME"
    cp "$SOURCE/LICENSE" "$root/usr/share/doc/$NAME/copyright"
    gzip -9n <"$SOURCE/CHANGELOG.md" >"$root/usr/share/doc/$NAME/changelog.gz"
    chmod -R u=rwX,go=rX "$root"
}

write_control() {
    mkdir -m 755 "$root/DEBIAN"
    sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SIZE@/$(du -sk "$root" | cut -f1)/" \
        -e "s/@PYTHON@/$(python_version 0)/" -e "s/@NEXT_PYTHON@/$(python_version 1)/" \
        "$SOURCE/packaging/debian/control" >"$root/DEBIAN/control"
    (cd "$root" && find etc -type f | sed 's|^|/|') >"$root/DEBIAN/conffiles"
    (cd "$root" && find . -path ./DEBIAN -prune -o -type f -print | sed 's|^\./||' | grep -v '^etc/' | xargs -d '\n' md5sum) >"$root/DEBIAN/md5sums"
    for script in postinst prerm postrm; do
        install -m 755 "$SOURCE/packaging/debian/$script" "$root/DEBIAN/$script"
    done
}

build_tree
write_control
mkdir -p "$SOURCE/dist"
package=$SOURCE/dist/${NAME}_${version}_$architecture.deb
dpkg-deb --root-owner-group -Zzstd -z9 --build "$root" "$stage/package.deb" >/dev/null
mv "$stage/package.deb" "$package"
printf 'built %s\n' "$package"
