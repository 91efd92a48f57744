#!/bin/sh
# Run dingwatch as the user PUID and the group PGID: on a NAS, those that may read the shares.
#
# The container starts as root only to give them the state directory. With `user:` or `--user` it never is root,
# and PUID and PGID say nothing.
set -eu

# `docker run IMAGE status` means `dingwatch status`; a path or a shell is run as it is.
case ${1:-run} in
/* | sh | bash) ;;
*) set -- dingwatch "$@" ;;
esac

if [ "$(id -u)" -ne 0 ]; then
  exec "$@"
fi

user=${PUID:-1000} group=${PGID:-1000}
for value in "$user" "$group"; do
  case $value in
  0 | *[!0-9]*)
    echo "PUID and PGID must be numbers other than 0, not \"$value\": run \`id USER\` on the NAS" >&2
    exit 78
    ;;
  esac
done

if [ "$(id -u dingwatch):$(id -g dingwatch)" != "$user:$group" ]; then
  # -o: the number may be that of a user of the image.
  groupmod -o -g "$group" dingwatch
  usermod -o -u "$user" -g "$group" dingwatch
fi
state=${STATE_DIRECTORY:-/state}
mkdir -p "$state"
# Only after the ids changed: a walk through all of it at each start would take its time.
if [ "$(stat -c %u:%g "$state")" != "$user:$group" ]; then
  chown -R "$user:$group" "$state"
fi
chmod 0700 "$state"

# GROUPS_EXTRA=101,65537: the numbers of more groups that may read shares.
export HOME="$state"
exec setpriv --reuid "$user" --regid "$group" --groups "$group${GROUPS_EXTRA:+,$GROUPS_EXTRA}" \
  --inh-caps=-all --bounding-set=-all --no-new-privs "$@"
