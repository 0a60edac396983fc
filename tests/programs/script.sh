#!/bin/bash
# Functions, here-documents, traps, job control, subshells, arrays, arithmetic, pipes, globs: about what a real script uses.
set -u
log() { printf '[%s] %s\n' "$1" "$2"; }
fail=0
check() { if [ "$2" = "$3" ]; then log ok "$1"; else log BAD "$1: '$2' is not '$3'"; fail=1; fi; }

# Arithmetic and loops.
sum=0
for i in $(seq 1 100); do sum=$((sum + i)); done
check "sum" "$sum" 5050
factorial() { local n=$1; if [ "$n" -le 1 ]; then echo 1; else echo $((n * $(factorial $((n - 1))))); fi; }
check "recursion through subshells" "$(factorial 10)" 3628800
n=0
while [ $n -lt 1000 ]; do n=$((n + 1)); done
check "while" "$n" 1000
i=0
until [ $i -ge 5 ]; do ((i++)); done
check "until" "$i" 5

# Strings and arrays.
text="the quick brown fox"
check "length" "${#text}" 19
check "cut" "${text#the }" "quick brown fox"
check "replace" "${text// /_}" "the_quick_brown_fox"
check "upper" "${text^^}" "THE QUICK BROWN FOX"
list=(one two three)
list+=(four)
check "array" "${#list[@]} ${list[3]}" "4 four"
declare -A map=([a]=1 [b]=2)
check "map" "$((map[a] + map[b]))" 3
check "slice" "${list[*]:1:2}" "two three"

# Here-documents and here-strings.
here=$(cat <<END
line $((1 + 1))
  indented
END
)
check "here-document" "$here" "$(printf 'line 2\n  indented')"
quoted=$(cat <<'END'
$not expanded
END
)
check "quoted here-document" "$quoted" '$not expanded'
check "here-string" "$(tr a-z A-Z <<<"hello")" HELLO

# Files, redirections and globs.
dir=$(mktemp -d)
cd "$dir" || exit 1
for name in a b c; do echo "$name" >"$name.txt"; done
check "glob" "$(echo *.txt)" "a.txt b.txt c.txt"
cat a.txt b.txt >both 2>/dev/null
check "cat" "$(tr '\n' , <both)" "a,b,"
echo more >>both
check "append" "$(wc -l <both | tr -d ' ')" 3
exec 5>out5
echo "through five" >&5
exec 5>&-
check "descriptor" "$(cat out5)" "through five"
{ echo out; echo err >&2; } >o 2>e
check "split" "$(cat o)-$(cat e)" "out-err"
ln -s a.txt link
check "link" "$(readlink link)" a.txt
mkdir -p x/y/z
touch x/y/z/file
check "find" "$(find x -type f)" x/y/z/file
mv x/y/z/file x/moved
check "mv" "$(ls x)" "$(printf 'moved\ny')"
chmod 600 a.txt
check "chmod" "$(stat -c %a a.txt)" 600
[ -w a.txt ] && [ ! -x a.txt ] && log ok "test -w, -x"
cp -a a.txt copy
check "cmp" "$(cmp a.txt copy && echo same)" same
check "noclobber" "$(set -o noclobber; echo x 2>/dev/null >a.txt || echo refused)" refused

# Pipes and process substitution.
check "pipeline" "$(printf '%s\n' 3 1 2 | sort -n | head -1)" 1
check "pipestatus" "$(true | false | true; echo "${PIPESTATUS[*]}")" "0 1 0"
set -o pipefail
false | true
check "pipefail" "$?" 1
set +o pipefail
check "process substitution" "$(diff <(echo a) <(echo a) && echo same)" same
check "xargs" "$(echo 1 2 3 | xargs -n1 echo | wc -l | tr -d ' ')" 3
check "awk" "$(printf 'a 1\nb 2\n' | awk '{s += $2} END {print s}')" 3
check "sed" "$(echo hello | sed 's/l/L/g')" heLLo
check "grep" "$(printf 'x\ny\nx\n' | grep -c x)" 2
coproc CAT { cat; }
echo "to the coprocess" >&"${CAT[1]}"
read -r answer <&"${CAT[0]}"
check "coproc" "$answer" "to the coprocess"
exec {CAT[1]}>&-
# It may be gone, and its variable with it, before this is read.
wait "${CAT_PID:-}" 2>/dev/null

# Subshells and their variables.
outer=1
(outer=2; cd /; : "$outer")
check "subshell" "$outer $(basename "$PWD")" "1 $(basename "$dir")"
check "status" "$(exit 7; echo)$?" 7
( exit 42 )
check "exit status" "$?" 42

# Traps and signals.
caught=
trap 'caught=usr1' USR1
kill -USR1 $$
check "trap" "$caught" usr1
trap - USR1
check "exit trap" "$(bash -c 'trap "echo bye" EXIT; exit 0')" bye
check "err trap" "$(bash -c 'trap "echo failed" ERR; false; true')" failed
sleep 100 &
victim=$!
kill -TERM $victim
wait $victim
check "killed" "$?" 143
bash -c 'kill -KILL $$'
check "kill -9" "$?" 137

# Background jobs and job control.
(sleep 0.1; echo late >late) &
wait $!
check "wait" "$(cat late)" late
for k in 1 2 3; do (exit $k) & pids[k]=$!; done
total=0
for k in 1 2 3; do wait "${pids[k]}"; total=$((total + $?)); done
check "statuses" "$total" 6
set -m
sleep 50 &
kill -STOP %1
sleep 0.1
check "stopped" "$(jobs -s | wc -l | tr -d ' ')" 1
kill -CONT %1
kill %1
wait %1 2>/dev/null
set +m
check "timeout" "$(timeout 0.2 sleep 10; echo $?)" 124

# Read loops, case, select of words, printf, getopts.
out=
while IFS=: read -r name _ uid _; do [ "$name" = root ] && out=$uid; done </etc/passwd
check "read loop" "$out" 0
kind() { case $1 in [0-9]*) echo number ;; *.txt) echo text ;; *) echo other ;; esac; }
check "case" "$(kind 5) $(kind a.txt) $(kind -)" "number text other"
parse() { local OPTIND=1 v=; while getopts ab: o; do case $o in a) v+=A ;; b) v+=$OPTARG ;; esac; done; echo "$v"; }
check "getopts" "$(parse -a -b x)" Ax
check "printf" "$(printf '%05d|%-4s|%x' 42 ab 255)" "00042|ab  |ff"
check "brace" "$(echo {a,b}{1,2})" "a1 a2 b1 b2"
mapfile -t lines <both
check "mapfile" "${#lines[@]}" 3
check "regex" "$([[ "abc123" =~ ([0-9]+) ]] && echo "${BASH_REMATCH[1]}")" 123
eval 'evaluated=yes'
check "eval" "$evaluated" yes
check "date" "$(TZ=UTC date -d @0 +%Y-%m-%d)" 1970-01-01
check "command -v" "$(command -v sh >/dev/null && echo found)" found
check "environment" "$(X=1 bash -c 'echo $X')" 1
check "umask" "$(umask 077; touch private; stat -c %a private)" 600
read -r -t 0.1 nothing </dev/null || log ok "read at the end of a file"
exec 7<>both
read -r first <&7
check "read and write" "$first" a
exec 7>&-
check "dollar zero" "$(basename "$0")" script.sh

# Coprocesses, process substitution and nested subshells.
coproc UPPER { while read -r line; do echo "${line^^}"; done; }
echo "through a coprocess" >&"${UPPER[1]}"
read -r answer <&"${UPPER[0]}"
check "coprocess" "$answer" "THROUGH A COPROCESS"
eval "exec ${UPPER[1]}>&-"
check "two substitutions" "$(diff <(printf '1\n2\n') <(printf '1\n3\n') | grep -c '^[<>]')" 2
check "writing to one" "$(echo in >(cat >/dev/null) | wc -w | tr -d ' ')" 2
check "nesting" "$( ( ( ( echo deep ) ) ) )" deep
check "subshell's own" "$( (cd /; x=changed); echo "${x-unset}")" unset
deep() { [ "$1" -eq 0 ] && echo bottom || deep $(($1 - 1)); }
check "recursion" "$(deep 200)" bottom
check "pipe status" "$(false | true | false; echo "${PIPESTATUS[*]}")" "1 0 1"
check "pipefail" "$(set -o pipefail; false | true; echo $?)" 1
check "noclobber" "$(set -C; echo x 2>/dev/null >both && echo written || echo kept)" kept
check "tee" "$(echo twice | tee one-copy | cat - one-copy | wc -l | tr -d ' ')" 2
trap 'usr=$((usr + 1))' USR1
usr=0
for k in 1 2 3; do kill -USR1 $$; done
check "own signals" "$usr" 3
(trap '' TERM; kill -TERM "$BASHPID"; echo survived >ignored)
check "ignored" "$(cat ignored)" survived
mkfifo queue
(for k in 1 2 3; do echo "$k"; done >queue) &
check "fifo" "$(paste -sd+ queue)" "1+2+3"
wait
check "many children" "$(for k in $(seq 40); do (echo "$k") & done | sort -n | tail -1)" 40
ln -s both a-link
cp -a a-link b-link
mv both moved
check "dangling" "$([ -e b-link ] && echo there || echo gone)" gone
mv moved both
check "links" "$(readlink a-link) $(stat -Lc %s a-link)" "both $(stat -c %s both)"
cd /
rm -rf "$dir"
[ ! -e "$dir" ] && log ok "cleaned up"
exit $fail
