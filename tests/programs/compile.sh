# xz and zstd with threads, a compilation of 10,000 lines, a parallel make of a generated project.
set -u
cd "$HOME"
awk 'BEGIN { for (i = 0; i < 300000; i++) printf "%d %x %s\n", i, i * 7919, substr("abcdefghijklmnop", i % 13 + 1) }' >text
xz -T4 --block-size=500KiB -2 -k text; xz -lv text.xz | grep -c CRC64; xz -dc -T4 text.xz | cmp - text; md5sum <text.xz
command -v zstd >/dev/null && { zstd -q -T4 -9 text; zstd -dc text.zst | cmp - text; md5sum <text.zst; }
awk 'BEGIN {
    print "#include <stdio.h>"
    for (i = 0; i < 1600; i++) {
        printf "static int f%d(int a, int *b) {\n    int s = %d;\n    for (int i = 0; i < a; i++)\n", i, i
        printf "        s += b[i] * %d;\n    return s ^ a;\n}\n", i % 17
    }
    print "int main(void) { int b[4] = {1, 2, 3, 4}, s = 0;"
    for (i = 0; i < 400; i++) printf "s += f%d(4, b);\n", i
    print "printf(\"%d\\n\", s); return 0; }"
}' >big.c
wc -l <big.c
gcc -O2 -w -c big.c -o big.o && md5sum <big.o
gcc -g -pipe -fPIC -w -c big.c -o big2.o && objdump -d big2.o | md5sum
gcc big.o -o big && ./big
mkdir p; cd p
for i in $(seq 40); do echo "int f$i(int x) { return x * $i; }" >f$i.c; done
{
    for i in $(seq 40); do echo "int f$i(int);"; done
    echo '#include <stdio.h>'; echo 'int main(void) { int s = 0;'
    for i in $(seq 40); do echo "s += f$i($i);"; done
    echo 'printf("%d\n", s); }'
} >main.c
cat >Makefile <<'END'
SRC := $(wildcard *.c)
prog: $(SRC:.c=.o)
	gcc -o $@ $^
%.o: %.c
	gcc -O1 -c $< -o $@
clean:
	rm -f *.o prog
END
make -s -j2; ./prog; make -q; echo $?
sleep 0.01; touch f7.c; make -j2 | wc -l
make -s clean; make -s -j8 -Otarget; ./prog; make -s clean; ls | wc -l
