# Runs in the application's own image, so it has no restic: the dump lies beside the volume until it is saved.
set -eu
umask 077
fail() { echo "$JOB: $*" >&2; exit 1; }
rm -f "$DUMP/$FILE.new"
sh -c "$COMMAND" >"$DUMP/$FILE.new" || fail "the command of ops.backup.before failed"
[ -s "$DUMP/$FILE.new" ] || fail "the command of ops.backup.before printed nothing"
mv "$DUMP/$FILE.new" "$DUMP/$FILE"
