#!/bin/sh
# A base copy of the ledger, taken while everything runs; then only the newest copies are kept, and of the archived
# log what they need. Run it daily, as the server's own user: docs/operations.md, Backup.
#   BASES     where copies lie (/base)         WAL    the archive (/wal)
#   KEEP      how many copies are kept (7)     PG*    the server, as libpq has it
set -eu
bases=${BASES:-/base} wal=${WAL:-/wal} keep=${KEEP:-7}

[ "$keep" -ge 1 ] || { echo "KEEP is $keep: one copy is the least" >&2; exit 1; }
# One at a time: another run's copy is not yet one, and looks like one that was broken off.
exec 9>"$bases/.lock"
flock -n 9 || { echo "another copy is being taken into $bases" >&2; exit 1; }
# A copy that was broken off is none.
rm -rf "$bases"/*.part
now=$(date -u +%Y%m%dT%H%M%S.%3NZ)
pg_basebackup --pgdata="$bases/$now.part" --format=tar --gzip --checkpoint=fast --wal-method=stream --no-password
sync
mv -T "$bases/$now.part" "$bases/$now"
touch "$bases/$now"

# The newest by when they were finished, whatever the clock called them.
ls -1dt "$bases"/*Z | tail -n "+$((keep + 1))" | while read -r old; do rm -r "$old"; done
needed=
for copy in "$bases"/*Z; do
  first=$(tar -xOzf "$copy/base.tar.gz" backup_label | sed -n 's/^START WAL LOCATION: .*(file \([0-9A-F]*\))$/\1/p')
  [ -n "$first" ] || { echo "$copy does not say which log it begins with: nothing of $wal was removed" >&2; exit 1; }
  # The log's place, without the timeline it is of.
  if [ -z "$needed" ] || [ "$(printf '%s\n%s\n' "${first#????????}" "${needed#????????}" | sort | head -n 1)" = "${first#????????}" ]; then
    needed=$first
  fi
done
pg_archivecleanup "$wal" "$needed"
echo "$bases/$now is taken; $wal is kept from $needed on"
