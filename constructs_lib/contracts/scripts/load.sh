# Runs in the application's own image: the dump that was restored is read by the command that loads it.
set -eu
fail() { echo "$JOB: $*" >&2; exit 1; }
[ -s "$DUMP/$FILE" ] || fail "there is no dump at $DUMP/$FILE: run the restore before"
sh -c "$COMMAND" <"$DUMP/$FILE" || fail "the command of ops.backup.before.load failed"
