# Many processes at once: GNU parallel, xargs, locks by flock(1), and make.
set -u
cd "$HOME"; mkdir -p .parallel; touch .parallel/will-cite
seq 60 | parallel -k -j 6 'echo {} $(({}*{}))' | md5sum
seq 20 | parallel -k -j 4 --tag 'exit $(({}%3))' ; echo $?
parallel -k echo {1}-{2} ::: a b c ::: 1 2 3
seq 100000 | parallel --pipe -k -j 4 --block 50k wc -l | awk '{s+=$1} END {print s}'
seq 8 | parallel -j 4 --halt soon,fail=1 'sleep 0.1; [ {} -ne 3 ]' 2>/dev/null; echo $?
seq 4 | parallel -j 2 --joblog log --timeout 1 'sleep $(( {} == 2 ? 9 : 0 ))'; echo $?
awk 'NR>1 {print $7, $8}' log | sort | uniq -c
seq 300 | xargs -P 8 -n 5 sh -c 'echo $# >>lines' x; awk '{s+=$1} END {print NR, s}' lines
echo 0 >n
for i in $(seq 40); do flock lock sh -c 'read v <n; echo $((v+1)) >n' & done; wait; cat n
flock lock sleep 0.6 & sleep 0.2; flock -n lock true; echo $?; flock -w 0.1 lock true; echo $?
flock -w 3 lock echo got it; wait
flock -s lock sleep 0.5 & sleep 0.2; flock -s -n lock echo shared; flock -n -x lock echo never; echo $?; wait
flock lock sh -c 'sleep 0.5 & exec true' & sleep 0.2; flock -n lock echo 'never: a child holds it'; echo $?; wait
sleep 0.5
( flock 9; echo inside; flock -u 9; flock -n lock echo free ) 9<lock
