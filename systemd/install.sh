#!/bin/sh
# Installs or removes Rebellion on this machine; `make install` and `make uninstall` call it.
#
#   PREFIX   the program's own environment            /opt/rebellion
#   LIBDIR   units, user and folders                  /usr/local/lib
#   BINDIR   the command                              /usr/local/bin
#   DESTDIR  put everything below this folder instead of /, and touch no service (for packagers)
#   PYTHON   the Python (>= 3.11) to build on         python3
set -eu

PREFIX=${PREFIX:-/opt/rebellion}
LIBDIR=${LIBDIR:-/usr/local/lib}
BINDIR=${BINDIR:-/usr/local/bin}
DESTDIR=${DESTDIR:-}
PYTHON=${PYTHON:-python3}
SOURCE=$(cd "$(dirname "$0")/.." && pwd)

target=$DESTDIR$PREFIX
config=$DESTDIR/etc/rebellion
lib=$DESTDIR$LIBDIR
command=$DESTDIR$BINDIR/rebellion
share=$DESTDIR${LIBDIR%/lib}/share
marker=.rebellion-install
building=

say() { printf '%s\n' "$*"; }
die() { printf 'install: %s\n' "$*" >&2; exit 1; }

is_live() { [ -z "$DESTDIR" ] && [ "$(id -u)" = 0 ] && [ -d /run/systemd/system ]; }

check_paths() {
    case $PREFIX in
        /*[!/]*) ;;
        *) die "PREFIX must be an absolute path below / (got '$PREFIX')" ;;
    esac
    if [ -e "$target" ] && [ ! -e "$target/$marker" ]; then
        die "$target exists and is not an installation of Rebellion; choose another: make $1 PREFIX=/opt/other"
    fi
}

check_python() {
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        die "Python >= 3.11 is needed (got '$PYTHON'); choose another: make install PYTHON=python3.12"
    real=$("$PYTHON" -c 'import os, sys; print(os.path.realpath(sys.executable))')
    case $real in
        /root/* | /home/*)
            [ -n "$DESTDIR" ] || die "$real lies in a home folder, where the service may not look; choose another: make install PYTHON=/usr/bin/python3"
            ;;
    esac
}

# The new environment is finished beside the old one and then takes its place: a failure half-way leaves the old one as it was.
build_environment() {
    mkdir -p "$(dirname "$target")"
    building=$(mktemp -d "$target.XXXXXX")
    chmod 755 "$building"
    "$PYTHON" -m venv "$building" || die "$PYTHON -m venv does not work; on Debian: apt-get install python3-venv"
    set -- --quiet --disable-pip-version-check --no-input
    "$building/bin/python" -m pip install "$@" --require-hashes -r "$SOURCE/requirements.lock" \
        -r "$SOURCE/requirements-tui.lock" -r "$SOURCE/requirements-build.lock"
    mkdir "$building/source"
    for part in agent plugins pyproject.toml README.md LICENSE; do
        cp -R "$SOURCE/$part" "$building/source/"
    done
    "$building/bin/python" -m pip install "$@" --no-deps --no-build-isolation "$building/source"
    "$building/bin/python" -m pip uninstall --quiet --disable-pip-version-check --yes -r "$SOURCE/requirements-build.lock"
    rm -rf "$building/source"
    # Scripts made by pip carry the folder they were made in; ours finds its Python from wherever it lies.
    find "$building/bin" -type f ! -name 'python*' -exec rm {} +
    cp "$SOURCE/systemd/launcher" "$building/bin/rebellion"
    chmod 755 "$building/bin/rebellion"
    mkdir -p "$building/share/rebellion"
    cp -R "$SOURCE/etc" "$SOURCE/docs" "$SOURCE/systemd/drop-ins" "$building/share/rebellion/"
    "$building/bin/rebellion" version >"$building/$marker"
}

swap_environment() {
    if [ -e "$target" ]; then
        rm -rf "$target.old"
        mv "$target" "$target.old"
    fi
    mv "$building" "$target"
    building=
}

# $1 = the example as delivered now, $2 = as it was delivered before (may be missing), $3 = what is in use
install_config() {
    if [ ! -e "$3" ]; then
        install -m 644 "$1" "$3"
    elif cmp -s "$1" "$3" || { [ -e "$2" ] && cmp -s "$1" "$2"; }; then
        :
    elif [ -e "$2" ] && cmp -s "$2" "$3"; then
        install -m 644 "$1" "$3"
        say "replaced  $3 (you had not changed it)"
    else
        install -m 644 "$1" "$3.new"
        say "kept      $3 as you edited it; the new example is beside it: $3.new"
    fi
}

install_configs() {
    mkdir -p "$config/agent.d" "$config/hub.d"
    for name in agent.toml hub.toml; do
        install_config "$target/share/rebellion/etc/$name" "$target.old/share/rebellion/etc/$name" "$config/$name"
    done
    rm -rf "$target.old"
}

install_units() {
    mkdir -p "$lib/systemd/system" "$lib/sysusers.d" "$lib/tmpfiles.d"
    for unit in rebellion-agent.service rebellion-hub.service; do
        "$target/bin/python" -c 'import sys; sys.stdout.write(sys.stdin.read().replace("/opt/rebellion", sys.argv[1].replace("%", "%%")))' \
            "$PREFIX" <"$SOURCE/systemd/$unit" >"$lib/systemd/system/$unit"
        chmod 644 "$lib/systemd/system/$unit"
    done
    install -m 644 "$SOURCE/systemd/rebellion.sysusers.conf" "$lib/sysusers.d/rebellion.conf"
    install -m 644 "$SOURCE/systemd/rebellion.tmpfiles.conf" "$lib/tmpfiles.d/rebellion.conf"
}

install_command() {
    mkdir -p "$(dirname "$command")"
    if [ -e "$command" ] && [ ! -L "$command" ]; then
        say "kept      $command, which is not ours; use $PREFIX/bin/rebellion"
    else
        ln -sfn "$PREFIX/bin/rebellion" "$command"
    fi
}

# What man and the shells look for; each is made from the command that has just been installed.
install_share() {
    "$SOURCE/packaging/make_share.sh" "$share" "$target/bin/rebellion"
    gzip -9nf "$share/man/man1/rebellion.1"
}

remove_share() {
    rm -f "$share/man/man1/rebellion.1.gz" "$share/bash-completion/completions/rebellion"
    rm -f "$share"/zsh/*/_rebellion "$share/fish/vendor_completions.d/rebellion.fish"
    for folder in man/man1 bash-completion/completions zsh/site-functions zsh/vendor-completions fish/vendor_completions.d; do
        (cd "$share" && rmdir -p --ignore-fail-on-non-empty "$folder") 2>/dev/null || :
    done
}

do_install() {
    check_paths install
    check_python
    trap '[ -z "$building" ] || rm -rf "$building"' EXIT
    trap 'exit 130' INT TERM HUP
    build_environment
    swap_environment
    install_configs
    install_units
    install_command
    install_share
    say "installed $(cat "$target/$marker") into $target"
    if is_live; then
        systemd-sysusers "$lib/sysusers.d/rebellion.conf"
        systemd-tmpfiles --create "$lib/tmpfiles.d/rebellion.conf"
        systemctl daemon-reload
        say "start it  systemctl enable --now rebellion-agent      (and rebellion-hub where the metrics shall go)"
        say "after an upgrade: systemctl try-restart rebellion-agent rebellion-hub"
    fi
}

do_uninstall() {
    check_paths uninstall
    if is_live; then
        systemctl disable --now rebellion-agent.service rebellion-hub.service 2>/dev/null || :
    fi
    rm -f "$lib/systemd/system/rebellion-agent.service" "$lib/systemd/system/rebellion-hub.service"
    rm -f "$lib/sysusers.d/rebellion.conf" "$lib/tmpfiles.d/rebellion.conf"
    rmdir "$lib/systemd/system" "$lib/systemd" "$lib/sysusers.d" "$lib/tmpfiles.d" 2>/dev/null || :
    if [ "$(readlink "$command" 2>/dev/null)" = "$PREFIX/bin/rebellion" ]; then
        rm -f "$command"
    fi
    remove_share
    rm -rf "$target"
    if is_live; then
        systemctl daemon-reload
    fi
    say "removed   $target, the units and the command"
    for kept in "$config" "$DESTDIR/var/lib/rebellion"; do
        [ ! -e "$kept" ] || say "kept      $kept"
    done
    say "kept      the user 'rebellion', if there is one"
}

case ${1:-} in
    install) do_install ;;
    uninstall) do_uninstall ;;
    *) die "say install or uninstall (got '${1:-}')" ;;
esac
