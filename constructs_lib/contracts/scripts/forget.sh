restic unlock
# shellcheck disable=SC2086 # options
restic forget $retry --group-by host,tags --tag "$VOLUME" --prune $KEEP
tell prune_success_timestamp_seconds "$(date +%s)"
