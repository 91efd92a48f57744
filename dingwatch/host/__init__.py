"""The parts of the host (Linux) that the service uses: socket, lock, users, signals, streams, systemd."""
