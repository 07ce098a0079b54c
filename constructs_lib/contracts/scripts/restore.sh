# Puts a snapshot in the place of what is there. It is restored beside it and compared first; then names are
# swapped, so that a run that ends anywhere is undone by the next one before it begins, or by one with ONLY=undo.
# ONLY=find changes nothing: is there such a snapshot, and is it this contract's?
if [ "$ONLY" = find ]; then
  restic unlock
  # shellcheck disable=SC2086 # options
  found=$(restic dump $retry --host "$SAVED_HOST" --tag "$VOLUME" "$SNAPSHOT" "$NOTE/sentinel") \
    || fail "there is no snapshot $SNAPSHOT of it"
  [ "${found#* }" = "$CONTRACT $VOLUME $SAVED_HOST" ] || fail "the snapshot is another one's: ${found#* }"
  exit 0
fi
started=$(date +%s)
inside() { find "$1" -mindepth 1 -maxdepth 1 ! -name '.clustermesos-*'; }
put() {
  find "$1" -mindepth 1 -maxdepth 1 ! -name '.clustermesos-*' -exec mv {} "$2/" \;
  # Between two mounts it copies, for which there may be no room; find tells nobody.
  [ -z "$(inside "$1")" ] || fail "not all of $1 could be moved to $2"
}
# shellcheck disable=SC2086 # paths of ours, without spaces
set -- $SAVED
root="$1/.clustermesos-restore" swapped="$1/.clustermesos-swapped" lock="$1/.clustermesos-lock"
# Restic and mv hold it too, where this shell alone was killed. Whoever had it before took the file away with it.
exec 9>"$lock"
{ flock -n 9 && [ "$(stat -c %i "$lock" 2>&1)" = "$(stat -L -c %i /proc/self/fd/9)" ]; } \
  || fail "another restore of it runs: nothing was changed by this one"
trap 'rm -f "$lock"' EXIT
undo() {
  for path in $SAVED; do
    before="$path/.clustermesos-before"
    [ -d "$before" ] || continue
    if [ ! -e "$swapped" ]; then
      # All of what was there is in it: what is in its place now came from the snapshot.
      if [ -e "$before/.clustermesos-whole" ]; then
        find "$path" -mindepth 1 -maxdepth 1 ! -name '.clustermesos-*' -exec rm -rf {} \;
        rm -f "$before/.clustermesos-whole"
      fi
      put "$before" "$path"
    fi
    rm -rf "$before"
  done
  rm -rf "$root" "$swapped"
}
undo
[ "$ONLY" != undo ] || exit 0
mkdir -p "$root"
restic unlock
# shellcheck disable=SC2086 # options
restic restore "$SNAPSHOT" $retry --host "$SAVED_HOST" --tag "$VOLUME" --target "$root" \
  || { rm -rf "$root"; fail "the snapshot $SNAPSHOT can't be restored; nothing was changed"; }
compare "$root"
for path in $SAVED; do
  before="$path/.clustermesos-before"
  mkdir "$before"
  put "$path" "$before"
  touch "$before/.clustermesos-whole"
  put "$root$path" "$path"
done
# From here on nothing is undone: what was there before is being deleted.
touch "$swapped"
undo
now=$(date +%s)
# A failure would have the snapshot taken for undone.
tell restored_timestamp_seconds "$now" restored_snapshot_timestamp_seconds "$saved" \
  restored_duration_seconds "$((now - started))" restored_files "$same" \
  || echo "$JOB: restored, all the same" >&2
