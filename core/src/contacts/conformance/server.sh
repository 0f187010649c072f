# A PostgreSQL server of the tests' own. Commands come on standard input, one a line; each is answered with a line when
# it is done. The end of the input, which comes with the end of the tests however they end, is the end of the server
# and of its folder.
#
#   $1 folder of PostgreSQL's programs   $2 port   $3 password of the user `recapture`
set -u
trap '' INT
folder=$(mktemp -d "${TMPDIR:-/tmp}/recapture-postgres.XXXXXX") || exit 1
cd "$folder" || exit 1
printf '%s\n' "$3" >password
"$1/initdb" --pgdata=data --username=recapture --pwfile=password --auth=scram-sha-256 --encoding=UTF8 --no-sync \
	--no-locale >initdb.log 2>&1 || { cat initdb.log >&2; exit 1; }
server=
while read -r command; do
	case $command in
	start)
		# After a kill, the former server's children may still hold its memory for a moment.
		until [ -n "$server" ] && "$1/pg_isready" -q -h 127.0.0.1 -p "$2"; do
			if [ -z "$server" ] || ! kill -0 "$server" 2>/dev/null; then
				"$1/postgres" -D data -p "$2" -c listen_addresses=127.0.0.1 -k '' -c fsync=off \
					>>server.log 2>&1 </dev/null &
				server=$!
			fi
			sleep 0.05
			[ "$(wc -l <server.log)" -lt 2000 ] || { tail -n 20 server.log >&2; exit 1; }
		done
		;;
	kill)
		kill -9 "$server"
		wait "$server" 2>/dev/null
		server=
		;;
	esac
	echo done
done
[ -z "$server" ] || { kill -INT "$server"; wait "$server"; }
cd / && rm -rf "$folder"
