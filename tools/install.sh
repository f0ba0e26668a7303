#!/bin/sh
# Watti as a service on a Raspberry Pi (64-bit Raspberry Pi OS, bookworm or later), from a checkout:
#
#   sudo tools/install.sh              install, or bring the station to the version of this checkout
#   sudo tools/install.sh --any-machine          not a 64-bit ARM machine
#        tools/install.sh --prefix DIR           into DIR: no user is made, and nothing asks for root
#        tools/install.sh --no-apt --no-systemd  without packages of the system, or without starting anything
#
# Each version has a folder of its own in /opt/watti/versions, built beside the one that runs; /opt/watti/current is a
# link that is turned from one to the other at once. A version that does not start is taken back. Configuration
# (/etc/watti/station.toml) and state (/var/lib/watti) are never touched. PYTHON names another interpreter.
set -eu
umask 022 # the service's user reads what root installs

root=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd -P)
python=${PYTHON:-python3}
prefix=
apt=yes
systemd=yes
any_machine=

say() { printf 'install.sh: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

while [ $# -gt 0 ]; do
    case $1 in
        --prefix) [ -n "${2-}" ] || die "--prefix: expected a folder"; prefix=$2; shift ;;
        --no-apt) apt= ;;
        --no-systemd) systemd= ;;
        --any-machine) any_machine=yes ;;
        *) die "$1: expected --prefix DIR, --no-apt, --no-systemd or --any-machine" ;;
    esac
    shift
done
if [ -n "$prefix" ]; then mkdir -p -- "$prefix"; prefix=$(CDPATH='' cd -- "$prefix" && pwd -P); fi
home=$prefix/opt/watti
unit=$prefix/etc/systemd/system/watti.service
station=$prefix/etc/watti/station.toml

check() {
    [ -n "$prefix" ] || [ "$(id -u)" = 0 ] || die "only root can install: sudo $0"
    [ -n "$any_machine$prefix" ] || [ "$(uname -m)" = aarch64 ] ||
        die "this is no 64-bit ARM machine ($(uname -m)): --any-machine installs all the same"
    command -v flock >/dev/null || die "flock is missing: install util-linux"
    [ -z "$systemd" ] || command -v systemctl >/dev/null || die "systemctl is missing: is this systemd? (--no-systemd)"
    { [ ! -e "$home/current" ] && [ ! -L "$home/current" ]; } || whole "$(current)" ||
        die "$home/current is no link to a whole version in $home/versions: remove it, then install again"
}

# lgpio has no wheel for the Python of trixie: the system's own is used, which --system-site-packages shows.
packages() {
    [ -n "$apt" ] || return 0
    say "packages of the system ..."
    apt-get update -qq >&2 || say "note: apt-get update had errors" # of a source that is not needed, perhaps
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        python3 python3-venv python3-lgpio >&2 || die "apt-get failed: see above; is there a network?"
}

check_python() {
    command -v "$python" >/dev/null || die "$python is missing: install Python 3.11 or newer"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "Python 3.11 or newer is needed, $python is $("$python" -V 2>&1)"
}

# The user, and the groups that own pins, SPI, I2C and serial ports: udev gives them to these on Raspberry Pi OS.
user() {
    [ -z "$prefix" ] || return 0
    for group in watti gpio spi i2c dialout; do groupadd --force --system "$group"; done
    id watti >/dev/null 2>&1 ||
        useradd --system --gid watti --home-dir /var/lib/watti --no-create-home --shell /usr/sbin/nologin watti
    grep -qs 'SUBSYSTEM=="pwm' /usr/lib/udev/rules.d/*.rules /lib/udev/rules.d/*.rules /etc/udev/rules.d/*.rules ||
        say "note: no udev rule gives the group gpio the PWM, as Raspberry Pi OS does: the pilot will not work"
}

current() { readlink -- "$home/current" 2>/dev/null || true; }

# whole VERSION: is it, a path below $home, there and finished?
whole() { case $1 in versions/*) [ -x "$home/$1/bin/watti" ] && [ ! -e "$home/$1/.unfinished" ] ;; *) false ;; esac; }

# The next free version: its number in the project, then a count.
next_version() {
    project=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/pyproject.toml")
    count=1
    while [ -e "$home/versions/$project-$count" ]; do count=$((count + 1)); done
    printf 'versions/%s-%s\n' "$project" "$count"
}

# An interrupted build is left with its mark, and removed by the next.
remove_unfinished() {
    for mark in "$home"/versions/*/.unfinished; do
        [ ! -e "$mark" ] || rm -rf -- "${mark%/.unfinished}"
    done
}

# build VERSION: leaves nothing behind when it fails, and nothing in the checkout, where setuptools would build.
build() {
    say "building $home/$1, some minutes on a Pi ..."
    source=$home/$1/source
    mkdir -p "$source"
    : >"$home/$1/.unfinished"
    if (cd "$root" && cp -a firmware hal cloud configs tools pyproject.toml README.md LICENSE "$source") &&
        "$python" -m venv --system-site-packages "$home/$1" >&2 &&
        "$home/$1/bin/python" -m pip install --quiet --disable-pip-version-check "${source}[raspberry]" >&2 &&
        "$home/$1/bin/watti" chart >/dev/null; then
        cp -- "$source/configs/systemd/watti.service" "$home/$1/watti.service"
        rm -r -- "$source" "$home/$1/.unfinished"
    else
        rm -rf -- "${home:?}/$1"
        die "the new version could not be built or does not run: see above; nothing was changed"
    fi
}

configure() {
    mkdir -p "${station%/*}" "${unit%/*}" "$prefix/usr/local/bin"
    if [ ! -e "$station" ]; then
        cp -- "$root/configs/stations/raspberry.toml" "$station.new"
        mv -- "$station.new" "$station"
        fresh=yes
    fi
    # For people: the command, on the service's folder.
    cat >"$prefix/usr/local/bin/watti.new" <<EOF
#!/bin/sh
STATE_DIRECTORY=\${STATE_DIRECTORY-/var/lib/watti} exec $home/current/bin/watti "\$@"
EOF
    chmod 755 "$prefix/usr/local/bin/watti.new"
    mv -- "$prefix/usr/local/bin/watti.new" "$prefix/usr/local/bin/watti"
}

# switch_to VERSION: its unit and the link, each at once.
switch_to() {
    cp -- "$home/$1/watti.service" "$unit.new"
    mv -- "$unit.new" "$unit"
    ln -sfn -- "$1" "$home/current.new"
    mv -T -- "$home/current.new" "$home/current"
    [ -z "$systemd" ] || systemctl daemon-reload
}

# Type=notify: this returns when the station's loop has turned once, or has failed.
start() { systemctl restart watti.service && systemctl is-active --quiet watti.service; }

run_new() {
    systemctl enable --quiet watti.service
    if [ -n "$fresh" ]; then
        say "write what this station is into $station, then: systemctl start watti"
    elif start; then
        say "$1 runs"
    elif [ -n "$ran" ]; then
        say "$1 does not start, back to $before. What it said:"
        journalctl --unit watti.service --lines 20 --no-pager --output cat >&2 || true
        switch_to "$before"
        start || die "$before does not start any more either: systemctl status watti"
        rm -rf -- "${home:?}/$1"
        exit 1
    else
        die "$1 is installed but does not start: systemctl status watti says why; it is tried again every 5 s"
    fi
}

# Only what runs and the one before it are kept.
remove_old() {
    for folder in "$home"/versions/*; do
        case versions/${folder##*/} in "$new" | "$before") ;; *) rm -rf -- "$folder" ;; esac
    done
}

check
mkdir -p "$home/versions"
exec 9>"$home/.lock"
flock -n 9 || die "another installation is under way"
packages
check_python
user
remove_unfinished
before=$(current)
ran=
fresh=
if [ -n "$systemd" ] && [ -n "$before" ] && systemctl is-active --quiet watti.service; then ran=yes; fi
new=$(next_version)
build "$new"
configure
switch_to "$new"
[ -z "$systemd" ] || run_new "$new"
remove_old
say "installed: $home/$new"
