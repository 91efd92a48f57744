#!/bin/sh
# Build the Debian package: packaging/deb/build.sh [DIRECTORY]
#
# The package brings its own environment (/usr/lib/dingwatch) with every library in it, so that it installs
# without network. It fits the release and architecture of the machine that builds it, for compiled libraries
# belong to one version of Python. Needs python3-venv, and PyPI (or what pip's settings name instead).
#
#   REVISION=2       the package's revision (1), to be raised when the same version is built again
#   EXTRAS=stream,postgresql    the extras of pyproject.toml that are in it
#   MAINTAINER=…     who is named as the package's maintainer
set -eu
output=$(realpath "${1:-dist}")
here=$(dirname "$(realpath "$0")")
project=$(realpath "$here/../..")
maintainer=${MAINTAINER:-dingwatch maintainers <dingwatch@localhost>}
: "${SOURCE_DATE_EPOCH:=$(stat -c %Y "$project/CHANGELOG.md")}"
export SOURCE_DATE_EPOCH
umask 022

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
environment=/usr/lib/dingwatch
python=/usr/bin/python3 # Debian's own: another one would not be there on the machine that installs the package

# --- Version ---------------------------------------------------------------------------------------------
. /etc/os-release
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$project/dingwatch/__init__.py")
# A pre-release sorts before the release: 1.0rc1 is 1.0~rc1 for dpkg. The end tells builds for two releases apart.
debian=$(echo "$version" | sed -E 's/\.?(a|b|rc|dev)([0-9]+)/~\1\2/')-${REVISION:-1}+$ID${VERSION_ID:-}
minor=$($python -c 'import sys; print(sys.version_info.minor)')

# --- The environment -------------------------------------------------------------------------------------
# The builder's pip installs into it; it has no pip of its own, for dpkg owns these files.
$python -m venv "$work/builder"
"$work/builder/bin/pip" wheel -q --wheel-dir "$work/wheels" "$project[${EXTRAS:-stream,postgresql}]"
$python -m venv --without-pip "$root$environment"
"$work/builder/bin/pip" --python "$root$environment/bin/python" install -q --no-index --no-compile \
  --find-links "$work/wheels" "dingwatch[${EXTRAS:-stream,postgresql}]"
# Of the programs, only dingwatch: some libraries bring their own.
find "$root$environment/bin" -type f ! -name dingwatch -delete
rm -r "$root$environment/include"
ln -sf "/usr/bin/python3.$minor" "$root$environment/bin/python3"
# pip wrote the paths of this build into the scripts and into the environment's own description.
find "$root$environment/bin" -type f -exec sed -i "1s|^#!$root|#!|" {} +
sed -i '/^command = /d' "$root$environment/pyvenv.cfg"
if grep -rlI "$work" "$root"; then
  echo "these files name the directory of the build" >&2
  exit 1
fi
dingwatch() { # not yet where its first line looks for Python
  LC_ALL=C.UTF-8 "$root$environment/bin/python" -B "$root$environment/bin/dingwatch" "$@"
}
[ "$(dingwatch --version)" = "dingwatch, version $version" ]

# --- The rest --------------------------------------------------------------------------------------------
put() { # put MODE SOURCE TARGET
  install -D -m "$1" "$2" "$root$3"
}
install -d "$root/usr/bin" "$root/etc/dingwatch"
ln -s "../lib/dingwatch/bin/dingwatch" "$root/usr/bin/dingwatch"

for unit in dingwatch.service dingwatch@.service; do
  put 0644 "$project/systemd/$unit" "/usr/lib/systemd/system/$unit"
done
sed -i -e 's|/opt/dingwatch/bin/dingwatch|/usr/bin/dingwatch|' -e '/^# A virtual environment in \/opt/d' \
  "$root"/usr/lib/systemd/system/*
put 0644 "$project/systemd/sysusers.d/dingwatch.conf" /usr/lib/sysusers.d/dingwatch.conf

for shell in bash zsh fish; do
  dingwatch completion "$shell" >"$work/completion.$shell"
done
put 0644 "$work/completion.bash" /usr/share/bash-completion/completions/dingwatch
put 0644 "$work/completion.zsh" /usr/share/zsh/vendor-completions/_dingwatch
put 0644 "$work/completion.fish" /usr/share/fish/vendor_completions.d/dingwatch.fish

put 0644 "$project/docs/man/dingwatch.1" /usr/share/man/man1/dingwatch.1
put 0644 "$project/docs/man/zh_CN/dingwatch.1" /usr/share/man/zh_CN/man1/dingwatch.1
gzip -9n "$root"/usr/share/man/man1/* "$root"/usr/share/man/zh_CN/man1/*

documents=/usr/share/doc/dingwatch
for document in README.md README.zh-CN.md docs; do
  install -d "$root$documents"
  cp -r "$project/$document" "$root$documents/"
done
put 0644 "$project/config.example.yaml" "$documents/examples/config.yaml"
put 0644 "$here/copyright" "$documents/copyright"
sed -e '1,/^Copyright/d' -e 's/^$/./' -e 's/^/ /' "$project/LICENSE" | sed '1d' >>"$root$documents/copyright"
put 0644 "$project/CHANGELOG.md" "$documents/changelog"
cat >"$root$documents/changelog.Debian" <<EOF
dingwatch ($debian) unstable; urgency=medium

  * dingwatch $version; its changes are in changelog.gz.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
EOF
gzip -9n "$root$documents"/changelog*
put 0644 "$here/lintian-overrides" /usr/share/lintian/overrides/dingwatch

# --- The package -----------------------------------------------------------------------------------------
find "$root" -type d -exec chmod 0755 {} +
chmod -R u+w,go=rX "$root"
find "$root$environment/lib" -type f -exec chmod 0644 {} +
for script in postinst prerm postrm; do
  put 0755 "$here/$script" "/DEBIAN/$script"
done
sed -e "s|@VERSION@|$debian|" -e "s|@ARCHITECTURE@|$(dpkg --print-architecture)|" \
  -e "s|@MAINTAINER@|$maintainer|" -e "s|@SIZE@|$(du -k -s --apparent-size "$root" | cut -f1)|" \
  -e "s|@PYTHON@|3.$minor|" -e "s|@NEXT_PYTHON@|3.$((minor + 1))|" "$here/control.in" >"$root/DEBIAN/control"
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
mkdir -p "$output"
dpkg-deb --root-owner-group -Zxz --build "$root" "$output"
