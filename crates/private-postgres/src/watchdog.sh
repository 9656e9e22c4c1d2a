# Cleans up after the process that holds the other end of standard input, however that process ends.
# Usage: sh -c SCRIPT NAME HOME DATA
home=$1 data=$2
trap '' HUP INT TERM

while read -r _; do :; done

# Checking the command line for the directory protects processes with a reused process id; a zombie has no command line.
is_running() { [ -n "$pid" ] && grep -qsF -e "$data" "/proc/$pid/cmdline"; }

pid=
[ -r "$data/postmaster.pid" ] && read -r pid <"$data/postmaster.pid"
is_running && kill -QUIT "$pid"
tries=0
while is_running && [ "$tries" -lt 200 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
is_running && kill -KILL "$pid"

rm -rf -- "$home" "$data"
# A program that was still starting may have written again.
if [ -e "$home" ] || [ -e "$data" ]; then
    sleep 1
    rm -rf -- "$home" "$data"
fi
