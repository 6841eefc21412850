# $1: a folder to remove when the parent is gone, or empty. The rest: the command.
# Standard input is the parent's pipe, which ends with the parent however it ends.
t=$1; shift
exec 3<&0
# The server must not hold the pipe, nor standard output, where the parent awaits the pid.
"$@" </dev/null >&2 3<&- & p=$!
# A parent that dies orphans our process group, and the kernel sends HUP to such a group if it has a stopped member,
# which is what a paused server is. The server itself was started before this and still reloads on HUP.
trap '' HUP
# Ignoring TERM before the kill: from then on the folder must go, whatever the line below sends.
{ read -r _ <&3; trap '' TERM; kill -9 $p; [ -z "$t" ] || rm -rf -- "$t"; } >/dev/null 2>&1 & w=$!
# What the shell itself has to say ("Killed") is no part of the server's log.
exec 3<&- 2>/dev/null
echo $p
# Ends with the server, so that waiting for the guard is waiting for the server, and leaves no zombie of either.
wait $p; s=$?
kill $w
wait $w
exit $s
