#!/bin/sh
# Installs Ringmain from its unpacked tarball on a system with systemd. As root:
#
#   ./install.sh [--start]
#
# The program, its pages and completions go below /usr/local, the unit and what belongs to it below /etc. A configuration
# that is there stays; the new one is put beside it. With --start the service is enabled and started, or restarted if it runs.
set -eu
cd "$(dirname "$0")"

start=no
case ${1:-} in
'') ;;
--start) start=yes ;;
*) echo "usage: ./install.sh [--start]" >&2 && exit 2 ;;
esac
if [ "$(id -u)" != 0 ]; then
    echo "install.sh: only root can install a service" >&2
    exit 1
fi
if ! command -v systemctl >/dev/null; then
    echo "install.sh: there is no systemd here; 'ringmain start --config FILE' runs under any supervisor" >&2
    exit 1
fi

put() { # mode file where
    mkdir -p "$(dirname "$3")"
    # A new file each time: one that runs cannot be written to.
    install -m "$1" "$2" "$3.new"
    mv -f "$3.new" "$3"
}

prefix=/usr/local
put 755 bin/ringmain $prefix/bin/ringmain
for page in man/*.1; do put 644 "$page" "$prefix/share/man/man1/${page#man/}"; done
for page in man/*.5; do put 644 "$page" "$prefix/share/man/man5/${page#man/}"; done
put 644 completions/ringmain $prefix/share/bash-completion/completions/ringmain
put 644 completions/_ringmain $prefix/share/zsh/site-functions/_ringmain
put 644 completions/ringmain.fish $prefix/share/fish/vendor_completions.d/ringmain.fish

sed "s|/usr/bin/ringmain|$prefix/bin/ringmain|" systemd/ringmain.service >systemd/ringmain.service.here
put 644 systemd/ringmain.service.here /etc/systemd/system/ringmain.service
rm systemd/ringmain.service.here
put 644 systemd/ringmain.sysusers /etc/sysusers.d/ringmain.conf
put 644 systemd/ringmain.tmpfiles /etc/tmpfiles.d/ringmain.conf
put 644 systemd/ringmain.sysctl /etc/sysctl.d/50-ringmain.conf
if [ -e /etc/ringmain/ringmain.toml ]; then
    cmp -s systemd/ringmain.toml /etc/ringmain/ringmain.toml || put 640 systemd/ringmain.toml /etc/ringmain/ringmain.toml.dist
else
    put 640 systemd/ringmain.toml /etc/ringmain/ringmain.toml
fi

systemd-sysusers ringmain.conf
systemd-tmpfiles --create ringmain.conf
# A container may not change them.
if ! "$(command -v /usr/lib/systemd/systemd-sysctl || echo /lib/systemd/systemd-sysctl)" 50-ringmain.conf; then
    echo "install.sh: the kernel's settings in /etc/sysctl.d/50-ringmain.conf could not be applied" >&2
fi
systemctl daemon-reload
if [ $start = yes ]; then
    systemctl enable ringmain
    systemctl restart ringmain
    systemctl --no-pager status ringmain
else
    echo "Installed. Look at /etc/ringmain/ringmain.toml, then: systemctl enable --now ringmain"
fi
