restic unlock
# What backups that were killed or failed left behind; the newest may be that of one that still runs.
# shellcheck disable=SC2086 # options
restic forget $retry --group-by host --tag "unchecked:$VOLUME" --prune --keep-last 1
# shellcheck disable=SC2086 # options
restic forget $retry --group-by host,tags --tag "$VOLUME" --prune $KEEP
tell prune_success_timestamp_seconds "$(date +%s)"
