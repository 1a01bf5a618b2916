#!/bin/sh
# Removes what install.sh installed. As root:
#
#   ./uninstall.sh [--purge]
#
# The service is stopped first, which hands over what it leads and settles its logs. Configuration and data stay, unless
# --purge asks for their end.
set -eu

purge=no
case ${1:-} in
'') ;;
--purge) purge=yes ;;
*) echo "usage: ./uninstall.sh [--purge]" >&2 && exit 2 ;;
esac
if [ "$(id -u)" != 0 ]; then
    echo "uninstall.sh: only root can remove a service" >&2
    exit 1
fi

if [ -e /etc/systemd/system/ringmain.service ]; then
    systemctl disable --now ringmain
    rm -f /etc/systemd/system/ringmain.service
    systemctl daemon-reload
fi
prefix=/usr/local
rm -f $prefix/bin/ringmain $prefix/share/man/man1/ringmain.1 $prefix/share/man/man1/ringmain-*.1 \
    $prefix/share/man/man5/ringmain.toml.5 $prefix/share/bash-completion/completions/ringmain \
    $prefix/share/zsh/site-functions/_ringmain $prefix/share/fish/vendor_completions.d/ringmain.fish \
    /etc/sysusers.d/ringmain.conf /etc/tmpfiles.d/ringmain.conf /etc/sysctl.d/50-ringmain.conf
if [ $purge = no ]; then
    echo "Removed. /etc/ringmain and /var/lib/ringmain are kept; ./uninstall.sh --purge deletes them."
    exit 0
fi
for folder in /var/lib/ringmain /etc/ringmain; do
    if [ -d $folder ]; then
        find $folder -mindepth 1 -delete
        # It may be where a disk is mounted.
        rmdir $folder 2>/dev/null || echo "$folder is empty, and stays: it is in use"
    fi
done
if id ringmain >/dev/null 2>&1; then
    userdel ringmain
fi
echo "Removed, with configuration, data and the user."
