#!/bin/sh
# Creates a cluster, its user, its database and what the SQL files say, at the first start; then runs the server.
set -eu
export PGDATA=/var/lib/postgresql/data
if [ "$(id -u)" = 0 ]; then
    chown postgres "$PGDATA" && chmod 700 "$PGDATA"
    install -d -o postgres /var/run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    password=$(mktemp) && printf '%s' "$POSTGRES_PASSWORD" >"$password"
    # shellcheck disable=SC2086 # several arguments
    initdb ${POSTGRES_INITDB_ARGS:-} --username="$POSTGRES_USER" --pwfile="$password" --auth-host=scram-sha-256 --auth-local=trust
    rm "$password"
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    pg_ctl start --wait --silent --options="-c listen_addresses=''"
    createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
    for file in /docker-entrypoint-initdb.d/*.sql; do
        psql --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --set=ON_ERROR_STOP=1 --file="$file"
    done
    pg_ctl stop --wait --silent
fi
exec "$@"
