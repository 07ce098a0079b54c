# Before every script of a job; the image has busybox' sh. Secrets come as files, and go to restic only.
set -eu
umask 077
fail() { echo "$JOB: $*" >&2; exit 1; }
for name in $CREDENTIALS; do
  value=$(cat "$SECRETS/$name") || fail "the secret $name is not on this agent ($SECRETS/$name)"
  export "$name=$value"
done
labels="contract=\"$CONTRACT\",volume=\"$VOLUME\",saved_host=\"$SAVED_HOST\""
# Waits up to two hours for a lock that another job holds, where restic can (0.16 and newer).
# shellcheck disable=SC2034 # what follows uses it
retry="--retry-lock 2h"
# shellcheck disable=SC2034
restic backup --help | grep -q -e --retry-lock || retry=""
# tell NAME VALUE …: metrics for the node exporter, whole or not at all. Joined: no set -e where a caller goes on.
tell() {
  metrics="$METRICS/clustermesos-$JOB.prom" lines=""
  while [ $# -gt 1 ]; do
    lines="${lines}clustermesos_$1{$labels} $2
"
    shift 2
  done
  { printf %s "$lines" >"$metrics.new" && chmod 644 "$metrics.new" && mv "$metrics.new" "$metrics"; } || {
    echo "$JOB: its metrics can't be written to the agent's folder" >&2
    return 1
  }
}
