#!/bin/sh
# A local network with the `bruit` command alone: start, wait, publish, subscribe, verify, call, kill, clean up.
# Usage: testnet/local.sh [NODES] [FILE]. README.md beside it explains each block.
set -eu
nodes=${1:-5}
root=$(cd "$(dirname "$0")/.." && pwd)
file=${2:-$root/Cargo.lock}
[ "$nodes" -ge 2 ] && [ "$nodes" -le 254 ] || { echo "from 2 to 254 nodes: node i is at 127.i.0.1" >&2; exit 2; }

bruit=${BRUIT:-$(command -v bruit || true)}
for built in "$root/target/release/bruit" "$root/target/debug/bruit"; do
    [ -n "$bruit" ] || [ ! -x "$built" ] || bruit=$built
done
[ -n "$bruit" ] || { echo "no bruit command: cargo build --release --bin bruit" >&2; exit 2; }

dir=$(mktemp -d /tmp/bruit.XXXXXX)
pids=
clean_up() {
    status=$?
    trap - EXIT
    [ "$status" -eq 0 ] || tail -n 3 "$dir"/*.log >&2 || true
    kill -TERM $pids && kill -CONT $pids || true
    (sleep 3; kill -KILL $pids) >/dev/null 2>&1 & killer=$!
    wait $pids || true
    kill "$killer" && rm -rf "$dir"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' HUP INT TERM

say() { echo "== $*"; }
field() { sed -n 's/.*"'"$1"'":\[\{0,1\}"\([^"]*\)".*/\1/p'; }
hash() { { sha256sum "$1" 2>/dev/null || shasum -a 256 "$1"; } | cut -d ' ' -f 1; }
await() { # text, file: about 30 s at most
    tries=0
    until grep -q "$1" "$2"; do tries=$((tries + 1)); [ "$tries" -lt 300 ]; sleep 0.1; done
}
start() { # node, more flags
    i=$1; shift; : >"$dir/$i.out"
    "$bruit" run --json --exit-with-parent=$$ --data-dir "$dir/$i" --network local --allow-private-addrs \
        --listen "/ip4/127.$i.0.1/tcp/0" --outbound 4 --inbound-max 12 --topic news=everybody "$@" \
        >"$dir/$i.out" 2>>"$dir/$i.log" & pid=$!
    pids="$pids $pid"
    await '"ready"' "$dir/$i.out"
}
ask() { i=$1; shift; "$bruit" "$@" --json --data-dir "$dir/$i"; }
verify() { # node, manifest, original
    ask "$1" wait --file "$2" --timeout 60 >/dev/null
    ask "$1" fetch --local --manifest "$2" --out "$dir/$1.got" >/dev/null
    [ "$(hash "$dir/$1.got/$(basename "$3")")" = "$(hash "$3")" ] || { say "node $1 has another file"; exit 1; }
}

say "start $nodes nodes; the first two are seed nodes"
start 1; seed1=$(field listen <"$dir/1.out")
start 2 --seed-addr "$seed1"; seed2=$(field listen <"$dir/2.out")
for n in $(seq 3 "$nodes"); do start "$n" --seed-addr "$seed1" --seed-addr "$seed2"; done
say "wait until they found each other"
for n in $(seq "$nodes"); do ask "$n" wait --peers $((nodes > 4 ? 4 : nodes - 1)) >/dev/null; done
say "publish $file and verify it everywhere"
manifest=$(ask 1 publish --file "$file" | field manifest)
for n in $(seq 2 "$nodes"); do verify "$n" "$manifest" "$file"; done
say "subscribe to a topic and hear a message"; : >"$dir/news"
ask "$nodes" subscribe news --count 1 --timeout 30 >"$dir/news" & heard=$!
await '"subscribed"' "$dir/news"
ask 1 publish --topic news --text "good news" >/dev/null
wait "$heard"; field text <"$dir/news"
say "call: whoever can, serves a chunk"
answer=$(ask 2 call object --object "$manifest:0"); echo "served by $(echo "$answer" | field by)"
say "kill node $nodes, publish another file, start it again without any seed"
ask "$nodes" wait --book-stored 1 >/dev/null
kill -KILL "$pid"; wait "$pid" 2>/dev/null || pids=${pids% *}
manifest=$(ask 1 publish --file "$0" | field manifest)
start "$nodes"; verify "$nodes" "$manifest" "$0"
say "ok"
