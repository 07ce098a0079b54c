restic unlock
# shellcheck disable=SC2086 # options
restic check $retry --read-data-subset 5% || fail "the repository is damaged: keep it, and start another one"
tell check_success_timestamp_seconds "$(date +%s)"
