# A backup counts once it came back: the newest snapshot is restored beside everything, and compared.
started=$(date +%s)
root="$SCRATCH/$JOB"
rm -rf "$root"
mkdir -p "$root"
restic unlock
# shellcheck disable=SC2086 # options
restic restore latest $retry --host "$SAVED_HOST" --tag "$VOLUME" --target "$root" \
  || fail "the newest snapshot can't be restored"
compare "$root"
bytes=$(du -sk "$root" | awk '{print $1 * 1024}')
rm -rf "$root"
now=$(date +%s)
tell restore_verified_timestamp_seconds "$now" restore_snapshot_timestamp_seconds "$saved" \
  restore_duration_seconds "$((now - started))" restore_files "$same" restore_bytes "$bytes"
