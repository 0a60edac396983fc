# A browser with a look at its processes from beside it: start.sh FOLDER COMMAND...
folder=$1
shift
"$@" &
browser=$!
until [ -e "$folder/look" ]; do sleep 0.2; done
grep -h ^Seccomp: /proc/[0-9]*/status >"$folder/seccomp.part"
mv "$folder/seccomp.part" "$folder/seccomp"
wait $browser
echo $? >"$folder/ended"
