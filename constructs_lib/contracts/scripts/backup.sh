started=$(date +%s)
# Where a restore is at it, or did not end, some of the files are in its folders: the newest snapshot, which a restore
# takes unless it is told another one, would lack them.
untouched() {
  for path in $SAVED; do
    for part in restore before swapped; do [ ! -e "$path/.clustermesos-$part" ] || fail "$1"; done
  done
}
for path in $SAVED; do [ -d "$path" ] || fail "$path is missing"; done
# Where several nodes have data of their own, that is the node's address.
case $SAVED_HOST in "$CONTRACT") node="" ;; *) node=" --node $SAVED_HOST" ;; esac
untouched "a restore of it runs or did not end, so nothing was saved: clustermesos restore $CONTRACT$node, or, where its \
data is whole, delete .clustermesos-* in its volume $VOLUME"
mkdir -p "$NOTE"
: >"$NOTE/manifest"
# Each by itself: an empty volume beside a dump is no backup of the volume.
for path in $SAVED; do
  find "$path" -type f ! -name '*
*' -exec sha256sum {} + >"$NOTE.one" || fail "a file can't be read"
  if [ ! -s "$NOTE.one" ]; then
    tell backup_files 0 || true
    fail "nothing to save: $path has no file, which is no backup"
  fi
  cat "$NOTE.one" >>"$NOTE/manifest"
done
files=$(wc -l <"$NOTE/manifest")
echo "$started $CONTRACT $VOLUME $SAVED_HOST" >"$NOTE/sentinel"
restic --no-lock cat config >/dev/null 2>&1 || restic init || fail "no repository at $RESTIC_REPOSITORY, and none can be made"
# Locks of processes that are gone; one that is held is waited for.
restic unlock
# A restore takes the newest with the volume's tag: this one has it only once it is known to be whole, and by a tag of
# its own, since others may be left by backups that were killed or failed; forget takes those away.
# shellcheck disable=SC2086 # paths of ours, without spaces
restic backup $retry --host "$SAVED_HOST" --tag "unchecked:$VOLUME" --tag "$started" $SAVED "$NOTE"
untouched "a restore of it began meanwhile, so what was saved at $(date -u -d "@$started" '+%F %T') UTC may lack \
files: it stays unchecked:$VOLUME, and no restore takes it for the newest"
# Where restic can't, it may say so and end well.
# shellcheck disable=SC2086 # options
{ restic tag $retry --host "$SAVED_HOST" --tag "unchecked:$VOLUME,$started" --set "$VOLUME" \
  && found=$(restic dump $retry --host "$SAVED_HOST" --tag "$VOLUME" latest "$NOTE/sentinel") \
  && [ "$found" = "$(cat "$NOTE/sentinel")" ]; } \
  || fail "what was saved can't be made the newest of $VOLUME, so a restore would not find it"
now=$(date +%s)
# shellcheck disable=SC2086 # paths of ours, without spaces
tell backup_files "$files" backup_success_timestamp_seconds "$now" backup_duration_seconds "$((now - started))" \
  backup_bytes "$(du -sk $SAVED | awk '{bytes += $1 * 1024} END {print bytes}')"
