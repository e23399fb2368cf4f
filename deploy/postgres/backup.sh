#!/bin/sh
# A base copy of the ledger, taken while everything runs; then only the newest copies are kept, and of the archived
# log what they need. Run it daily, as the server's own user: docs/operations.md, Backup.
#   BASES     where copies lie (/base)         WAL    the archive (/wal)
#   KEEP      how many copies are kept (7)     PG*    the server, as libpq has it
set -eu
bases=${BASES:-/base} wal=${WAL:-/wal} keep=${KEEP:-7}

# A copy that was broken off is none.
rm -rf "$bases"/*.part
now=$(date -u +%Y%m%dT%H%M%S.%3NZ)
pg_basebackup --pgdata="$bases/$now.part" --format=tar --gzip --checkpoint=fast --wal-method=stream --no-password
sync
mv -T "$bases/$now.part" "$bases/$now"

ls -1d "$bases"/*Z | head -n "-$keep" | while read -r old; do rm -r "$old"; done
oldest=$(ls -1d "$bases"/*Z | head -n 1)
needed=$(tar -xOzf "$oldest/base.tar.gz" backup_label | sed -n 's/^START WAL LOCATION: .*(file \([0-9A-F]*\))$/\1/p')
[ -n "$needed" ] || { echo "$oldest does not say which log it begins with: nothing of $wal was removed" >&2; exit 1; }
pg_archivecleanup "$wal" "$needed"
echo "$bases/$now is taken; $wal is kept from $needed on"
