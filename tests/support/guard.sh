#!/bin/sh
# Keeps the servers of one test process: starts and stops them on command, and ends them all when the test
# process is gone, however it went (its end of our standard input closes). Servers are our children, so that they
# can be waited for. We run in a process group of our own, where a terminal's signals do not reach; other signals
# must not end us before the servers.
#
# $1: working folder; start-NAME.sh in it runs a server in the foreground, NAME.pid may name the process to signal.
trap : INT HUP TERM
dir=$1
running=

stop() {
    eval "child=\${child_$1:-}"
    [ -n "$child" ] || return 0
    pid=$child
    [ -s "$dir/$1.pid" ] && pid=$(cat "$dir/$1.pid")
    kill "-$2" "$pid" 2>/dev/null
    # A server that does not end in time is ended.
    ( i=0; while [ $i -lt 30 ] && kill -0 "$pid" 2>/dev/null; do sleep 1; i=$((i + 1)); done
      kill -KILL "$pid" "$child" 2>/dev/null ) &
    watcher=$!
    wait "$child" 2>/dev/null
    kill "$watcher" 2>/dev/null
    wait "$watcher" 2>/dev/null
    eval "child_$1="
}

while read -r command name signal; do
    case $command in
    start)
        sh "$dir/start-$name.sh" >>"$dir/$name.out" 2>&1 </dev/null &
        eval "child_$name=$!"
        running="$name $running"
        ;;
    stop) stop "$name" "$signal" ;;
    esac
    echo done
done
# What they stored is not needed any more. PostgreSQL has shared memory to give back and does so on QUIT.
for name in $running; do
    case $name in
    *postgres) stop "$name" QUIT ;;
    *) stop "$name" KILL ;;
    esac
done
rm -rf "$dir"
