# Applets of busybox on simple inputs.
set -u
cd "$HOME"; b() { echo "-- $*"; timeout 10 busybox "$@" 2>&1; echo "= $?"; }
seq 30 >a; printf 'b 2\na 1\nc 3\n' >t; mkdir -p d/e; echo x >d/e/f; ln -s a l
b ash -c 'for i in 1 2 3; do echo $i; done; echo $((2**10)); trap "echo t" EXIT; x=$(echo sub); echo $x'
b awk '{s+=$1} END {print s}' a; b basename /a/b.c .c; b bc <<<'2^100'; b bunzip2 -h >/dev/null; b bzip2 -k a
b bunzip2 -c a.bz2 | tail -3; b cal 2 2024; b cat t; b chmod 600 a
b cksum a; b cmp a t; b comm a a | tail -2; b cp -r d d2; b cpio -o <<<a >c.cpio; b cpio -t <c.cpio; b crc32 a
b cut -d' ' -f1 t; b date -u -d @0; b dc -e '3 4 * p'
b dd if=a of=a2 bs=1k; b diff a t | tail -3; b dirname /a/b/c; b dos2unix t; b du -s d; b echo hi; b ed a <<<q
b env -i A=1 busybox env; b expand t; b expr 3 '*' 4
b factor 360360; b false; b find d; b fold -w 3 t; b free | head -1 | tr -s ' '; b fsync a; b getopt ab: -a -b x
b grep -c 1 a; b gzip -c a | b gunzip -c | tail -3; b groups; b head -2 a; b hexdump -C t; b hostid >/dev/null
b id -un; b install -m 700 a a3; b kill -l 9; b ln -s a l2; b logname >/dev/null; b ls -1
b ls -l d/e | awk '{print $1}'; b lzma -k a; b unlzma -c a.lzma | tail -3; b lzop -c a >/dev/null; b md5sum a
b mkdir -p x/y; b mkfifo fifo; b mktemp -u q.XXXXXX | wc -c; b mv a2 a4; b nice; b nice -n 5 busybox nice; b nl t
b nohup true; b nproc; b od -c t
b paste t t; b patch -h >/dev/null; b pgrep -x busybo; b pidof none; b printenv HOME >/dev/null; b printf '%05d\n' 42
b pwd >/dev/null; b readlink l; b realpath d/../a >/dev/null; b renice 5 $$ >/dev/null; b rev t; b rm a4; b rmdir x/y
b run-parts d; b sed -n 2p t; b seq 3; b setsid true; b sha1sum a; b sha256sum a; b sha3sum a; b sha512sum a
b shred -u a3; b shuf -i 1-1; b sleep 0.01; b sort t; b split -l 10 a s.; b stat -c '%s %F' a; b strings t
b stty -F /dev/null; b sum a; b sync; b tac t; b tail -2 a; b tar cf x.tar d; b tar tf x.tar; b tee o <<<x
b test 1 -lt 2; b time true >/dev/null; b timeout 0.2 sleep 5; b touch n; b tr a-z A-Z <t; b truncate -s 100 tr
b tsort <<<'a b'; b tty </dev/null; b uname -s; b uniq -c t; b unexpand t; b usleep 10; b uuencode x <t
b uudecode -h >/dev/null; b vi -h >/dev/null; b watch -h >/dev/null; b wc a; b which sh; b who; b whoami
b xargs -n 2 <a; b xxd t; b xz -k a; b unxz -c a.xz | tail -3; b yes | head -2; b zcat /dev/null; b w >/dev/null
b uptime >/dev/null; b ps >/dev/null; b top -b -n 1 >/dev/null; b mount >/dev/null; b df >/dev/null
b ifconfig lo | grep -c inet; b ip addr show lo | grep -c inet; b route -n | head -1; b hostname >/dev/null
b nslookup -h >/dev/null; b arch; b lsof >/dev/null; b fuser a; b pmap $$ >/dev/null; b pstree >/dev/null
b iostat >/dev/null; b taskset -p $$ >/dev/null; b ipcs | head -2; b flock a true; b setarch x86_64 busybox uname -m
b script -h >/dev/null; b chroot / true; b mknod q c 1 3; b mount -t tmpfs none d; b umount d; b su -c true
b losetup -f; b dmesg >/dev/null; b nc -h >/dev/null; b wget -q -O - http://127.0.0.1:1/ 
b ping -c 1 -W 1 127.0.0.1 | head -1; b httpd -h "$HOME" -p 127.0.0.1:$1; sleep 0.2
b wget -q -O - http://127.0.0.1:$1/t; kill $(pgrep -f 'httpd -h' ) 2>/dev/null; b crond -h >/dev/null
b start-stop-daemon -K -x none -t; b vlock </dev/null >/dev/null; b inotifyd true . >/dev/null
echo end
