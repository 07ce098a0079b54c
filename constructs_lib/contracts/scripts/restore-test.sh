# A backup counts once it came back: the newest snapshot is restored beside everything, and compared.
started=$(date +%s)
root="$SCRATCH/$JOB"
rm -rf "$root"
mkdir -p "$root"
restic unlock
# shellcheck disable=SC2086 # options
restic restore latest $retry --host "$SAVED_HOST" --tag "$VOLUME" --target "$root" \
  || fail "the newest snapshot can't be restored"
read -r saved contract volume host <"$root$NOTE/sentinel" || fail "the snapshot has no sentinel"
[ "$contract $volume $host" = "$CONTRACT $VOLUME $SAVED_HOST" ] || fail "the snapshot is another one's: $contract $volume $host"
same=0 changed=0
while read -r sum path; do
  if [ -f "$root$path" ] && [ "$(sha256sum <"$root$path" | cut -c1-64)" = "$sum" ]; then
    same=$((same + 1))
    continue
  fi
  # What was written or deleted while it was saved has a newer time, or its folder has.
  near="$root$path"
  while [ ! -e "$near" ]; do near=$(dirname "$near"); done
  if [ "$near" = "$root" ] || [ "$(stat -c %Y "$near")" -lt "$saved" ]; then
    fail "$path came back otherwise than it was saved"
  fi
  changed=$((changed + 1))
done <"$root$NOTE/manifest"
[ "$same" -gt 0 ] || fail "no file came back as it was saved ($changed had changed meanwhile)"
if [ -n "$VERIFY" ]; then
  (cd "$root$VERIFY_IN" && sh -c "$VERIFY") || fail "ops.backup.verify refuses what was restored"
fi
rm -rf "$root"
now=$(date +%s)
tell restore_verified_timestamp_seconds "$now" restore_snapshot_timestamp_seconds "$saved" \
  restore_duration_seconds "$((now - started))" restore_files "$same"
