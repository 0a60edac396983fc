#!/bin/sh
# Installs what building, testing and `make run` need; with `programs` also what `make programs` needs. On Debian as root
# it installs; elsewhere it names what is missing.
set -eu
packages="gcc make pkg-config sway grim wtype wl-clipboard foot thunar dbus gtk-3-examples gtk-4-examples gnome-calculator mousepad
busybox-static bubblewrap fonts-dejavu-core adwaita-icon-theme hicolor-icon-theme libgl1-mesa-dri libegl1 libgl1
libxkbcommon0 xkb-data libwayland-client0 python3 perl git xz-utils sqlite3 dconf-gsettings-backend util-linux
libpython3.11-testsuite postgresql-15 redis-server nginx-light wrk curl openssh-server openssh-client tmux vim-tiny
parallel procps iproute2 nodejs ruby php-cli php-sqlite3 featherpad qtwayland5 focuswriter qt6-wayland kcalc
gnome-text-editor weston mesa-utils glmark2-es2-wayland vulkan-tools mesa-vulkan-drivers libsdl2-dev mpv mypaint
firefox-esr librsvg2-common mutter kwin-wayland kwin-style-breeze xwayland"
[ "${1:-}" = programs ] && packages="$packages openjdk-17-jdk-headless mono-runtime mono-mcs libmono-system-core4.0-cil
rustc cargo golang-go ffmpeg stress-ng libglib2.0-tests libreoffice-writer libreoffice-calc libreoffice-impress
libreoffice-gtk3 chromium"
missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    echo "installing:$missing"
    # Tests start servers themselves; the machine shall not.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        trap 'rm -f $policy' EXIT
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
    fi
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold $missing >/dev/null
else
    echo "missing packages (Debian names):$missing" >&2
    exit 1
fi
