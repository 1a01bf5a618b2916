#!/bin/sh
# Makes the Debian package and the tarball of a tree that is built: `cargo build --release --bin ringmain` first.
#
#   systemd/package.sh [--deb-version VERSION] [--binary FILE] [--fast]
#
# Both go to target/package, with what they are made of in target/package/files. cargo-deb is installed to target/tools, by
# its exact version, unless it is there. --binary packs another one than target/release/ringmain, --fast makes them larger.
set -eu
cd "$(dirname "$0")/.."

# Without its features it has no compressor of its own and takes the system's.
cargo_deb_version=3.8.0
deb_version=
binary=
compress=xz
while [ $# -gt 0 ]; do
    case $1 in
    --deb-version) deb_version=$2 && shift 2 ;;
    --binary) binary=$2 && shift 2 ;;
    --fast) compress=gzip && shift ;;
    *) echo "usage: systemd/package.sh [--deb-version VERSION] [--binary FILE] [--fast]" >&2 && exit 2 ;;
    esac
done

target=${CARGO_TARGET_DIR:-target}
binary=${binary:-$target/release/ringmain}
# Where the list of the package's files has it.
out=target/package
files=$out/files
if [ ! -x "$binary" ]; then
    echo "package.sh: no $binary: cargo build --release --bin ringmain" >&2
    exit 1
fi

tool=$target/tools/bin/cargo-deb
if [ "$("$tool" --version 2>/dev/null)" != "$cargo_deb_version" ]; then
    # It copies files: compiled without optimisation it takes half of the time to be made, and as long to do it.
    CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        CARGO_PROFILE_RELEASE_DEBUG=0 cargo install --quiet --locked --root "$target/tools" --no-default-features --version "=$cargo_deb_version" cargo-deb
fi

rm -rf "$files"
"$binary" generate "$files"
# Both have it from here, without what only a debugger reads.
install -D -m 755 "$binary" "$files/bin/ringmain"
strip --strip-unneeded "$files/bin/ringmain"

version=$("$binary" --version | cut -d' ' -f2)
"$tool" --quiet --package ringmain --no-build --no-strip --compress-type $compress --compress-system --output "$out/" \
    --deb-version "${deb_version:-$version-1}" >/dev/null

# The tarball, for systems without Debian's packages.
name=ringmain-$version-linux-$(uname -m)
tree=$out/$name
rm -rf "$tree"
mkdir "$tree"
cp -r "$files/bin" "$files/man" "$files/completions" "$tree/"
mkdir "$tree/systemd"
for file in ringmain.service ringmain.sysusers ringmain.tmpfiles ringmain.sysctl ringmain.toml; do
    install -m 644 "systemd/$file" "$tree/systemd/"
done
install -m 755 systemd/install.sh systemd/uninstall.sh "$tree/"
install -m 644 README.md "$tree/"
tar --create --gzip --owner=0 --group=0 --directory "$out" --file "$out/$name.tar.gz" "$name"
rm -rf "$tree"
ls "$out"/*.deb "$out"/*.tar.gz
