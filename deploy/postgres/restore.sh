#!/bin/sh
# Puts a base copy where an empty server's data go; started on them, the server reads the archived log up to a moment
# and then is the ledger. Run it as the server's own user: docs/operations.md, Restore.
#   restore.sh COPY DATA [MOMENT]     MOMENT: '2026-11-26 14:03:00+00'; without one, as far as the log goes
#   WAL       the archive (/wal)
set -eu
copy=$1 data=$2 moment=${3:-} wal=${WAL:-/wal}

if [ -d "$data" ] && [ -n "$(ls -A "$data")" ]; then
  echo "$data is not empty: restore into a new folder, and keep the old one until all is well" >&2
  exit 1
fi
mkdir -p "$data"
chmod 700 "$data"
tar -xzf "$copy/base.tar.gz" -C "$data"
tar -xzf "$copy/pg_wal.tar.gz" -C "$data/pg_wal"
{
  echo "restore_command = 'cp \"$wal/%f\" \"%p\"'"
  echo "recovery_target_action = 'promote'"
  # The last word counts. A copy taken after an earlier restore still has that one's moment.
  for target in '' _name _xid _lsn; do echo "recovery_target$target = ''"; done
  echo "recovery_target_time = '$moment'"
  echo "recovery_target_timeline = 'latest'"
} >>"$data/postgresql.auto.conf"
touch "$data/recovery.signal"
echo "$data is ready: start the server on it"
