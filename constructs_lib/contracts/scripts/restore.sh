# Puts a snapshot in the place of what is there. It is restored beside it and compared first; then names are
# swapped, so that a run that ends anywhere is undone by the next one before it begins.
started=$(date +%s)
put() { find "$1" -mindepth 1 -maxdepth 1 ! -name '.clustermesos-*' -exec mv {} "$2/" \;; }
# shellcheck disable=SC2086 # paths of ours, without spaces
set -- $SAVED
root="$1/.clustermesos-restore"
for path in $SAVED; do
  before="$path/.clustermesos-before"
  [ -d "$before" ] || continue
  # All of what was there is in it: what is in its place now came from the snapshot.
  if [ -e "$before/.clustermesos-whole" ]; then
    find "$path" -mindepth 1 -maxdepth 1 ! -name '.clustermesos-*' -exec rm -rf {} \;
  fi
  put "$before" "$path"
  rm -rf "$before"
done
rm -rf "$root"
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
for path in $SAVED; do rm -rf "$path/.clustermesos-before"; done
rm -rf "$root"
now=$(date +%s)
tell restored_timestamp_seconds "$now" restored_snapshot_timestamp_seconds "$saved" \
  restored_duration_seconds "$((now - started))" restored_files "$same"
