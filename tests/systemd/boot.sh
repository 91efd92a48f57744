#!/bin/sh
# Boot a systemd in namespaces of its own, on a copy of BELOW that is thrown away at the end.
#
# As root: unshare --mount --propagation private --uts --ipc boot.sh DIRECTORY SOURCE INSTALL [BELOW]
#
# BELOW is the root directory to copy: this host's, or another system's that has a systemd.
# INSTALL, a script, installs dingwatch from the directory SOURCE with the host's network, before systemd boots
# without one. Everything ends with the process 1 of the new namespaces.
set -eu
directory=$1 source=$2 install=$3 below=${4:-/}
new=$directory/root
mount -t tmpfs -o mode=755 tmpfs "$directory"
mkdir "$directory/upper" "$directory/work" "$new"
mount -t overlay -o "lowerdir=$below,upperdir=$directory/upper,workdir=$directory/work" overlay "$new"

for fresh in run tmp dev; do mount -t tmpfs -o mode=755 tmpfs "$new/$fresh"; done
chmod 1777 "$new/tmp"
for device in null zero full random urandom tty; do
  : >"$new/dev/$device"
  mount --bind "/dev/$device" "$new/dev/$device"
done
ln -s /proc/self/fd "$new/dev/fd"
ln -s pts/ptmx "$new/dev/ptmx" # PrivateDevices= looks for it
mkdir "$new/dev/shm" "$new/run/old" "$new/mnt/source"
mount -t tmpfs -o mode=1777 tmpfs "$new/dev/shm"

# Units of the host have no business here: only what the tests start runs.
find "$new/etc/systemd/system" -name '*.wants' -prune -exec rm -rf {} +
rm -f "$new/etc/fstab"
echo 0123456789abcdef0123456789abcdef >"$new/etc/machine-id"

mount --bind "$source" "$new/mnt/source"
mount --bind /proc "$new/proc"
mount --bind /etc/resolv.conf "$new/etc/resolv.conf"
chroot "$new" env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  sh -euc 'cd /mnt/source; eval "$1"' sh "$install"
umount "$new/etc/resolv.conf" "$new/proc"

exec unshare --pid --fork --cgroup --net --kill-child sh -euc '
  ip link set lo up
  cd "$1"
  mount -t proc proc proc
  mount -t sysfs -o ro sysfs sys
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  # pivot_root, not chroot: systemd hands credentials over in mounts of its own.
  pivot_root . run/old
  cd /
  umount -l /run/old
  mount --make-rshared /
  exec env -i container=other PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=multi-user.target
' sh "$new"
