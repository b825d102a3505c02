"""What ``ops/deploy`` does: `docker.sh` with containers, `local` without."""
