# compare ROOT: whether what was restored below it came back as it was saved; sets saved, same and changed.
compare() {
  read -r saved contract volume host <"$1$NOTE/sentinel" || fail "the snapshot has no sentinel"
  [ "$contract $volume $host" = "$CONTRACT $VOLUME $SAVED_HOST" ] || fail "the snapshot is another one's: $contract $volume $host"
  same=0 changed=0
  while read -r sum path; do
    if [ -f "$1$path" ] && [ "$(sha256sum <"$1$path" | cut -c1-64)" = "$sum" ]; then
      same=$((same + 1))
      continue
    fi
    # What was written or deleted while it was saved has a newer time, or its folder has.
    near="$1$path"
    while [ ! -e "$near" ]; do near=$(dirname "$near"); done
    if [ "$near" = "$1" ] || [ "$(stat -c %Y "$near")" -lt "$saved" ]; then
      fail "$path came back otherwise than it was saved"
    fi
    changed=$((changed + 1))
  done <"$1$NOTE/manifest"
  [ "$same" -gt 0 ] || fail "no file came back as it was saved ($changed had changed meanwhile)"
  if [ -n "$VERIFY" ]; then
    (cd "$1$VERIFY_IN" && sh -c "$VERIFY") || fail "ops.backup.verify refuses what was restored"
  fi
}
