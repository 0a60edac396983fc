# vim: edits by a script, then by keys typed on a terminal, then after a kill with what it had saved aside.
set -u
cd "$HOME"; vim=$(command -v vim.tiny || command -v vim)
seq 1 2000 >a
"$vim" -u NONE -es -c '%s/1/one/g' -c 'g/99/d' -c '$put ="last"' -c 'normal ggOfirst' -c 'sort! n' -c 'wq' a; echo $?
md5sum <a; wc -l <a
printf 'some text\nmore text\n' >b
type_keys() {
    sleep 1
    printf ':set nocompatible\r'; printf 'oadded line\033'; sleep 0.2
    printf 'ggdwiTHE \033'; printf ':%%s/text/words/g\r'; sleep 0.2
    printf ':!echo shell $((1+1))\r'; sleep 0.4; printf '\r'; printf ':wq\r'; sleep 0.3
}
type_keys | script -qec "stty rows 24 cols 80; $vim -u NONE -N -n b" /dev/null >seen; echo ${PIPESTATUS[1]}
cat b; grep -c 'shell 2' seen
script -qec "exec $vim -u NONE -N -c 'normal ihello' -c preserve c" /dev/null </dev/null >/dev/null &
for _ in $(seq 50); do [ -s .c.swp ] && break; sleep 0.1; done
kill -9 $(pgrep -f 'NON[E] -N -c normal' | tail -1); wait 2>/dev/null
ls -A | grep '^.c.sw'; "$vim" -u NONE -es -r c -c 'w! d' -c 'q!'; cat d 2>/dev/null
