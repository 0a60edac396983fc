# An SSH server as a plain user, with its own keys: commands, status, files by scp and sftp, a terminal, forwarding.
set -u
dir=$HOME/ssh; rm -rf "$dir"; mkdir -m 700 "$dir"; cd "$dir"; port=$1
for k in ed25519 rsa ecdsa; do ssh-keygen -q -t $k -N '' -f $k; ssh-keygen -l -f $k.pub | awk '{print $1, $4}'; done
cp ed25519.pub authorized; chmod 600 authorized
cat >config <<END
Port $port
ListenAddress 127.0.0.1
HostKey $dir/rsa
HostKey $dir/ecdsa
AuthorizedKeysFile $dir/authorized
PidFile $dir/pid
UsePAM no
StrictModes no
PasswordAuthentication no
Subsystem sftp internal-sftp
END
/usr/sbin/sshd -D -e -f config 2>log & server=$!
for _ in $(seq 50); do grep -q listening log && break; sleep 0.1; done
cat >client <<END
Host s
HostName 127.0.0.1
Port $port
IdentityFile $dir/ed25519
IdentitiesOnly yes
UserKnownHostsFile $dir/known
StrictHostKeyChecking accept-new
LogLevel ERROR
END
# The account's own home need not be there.
s() { timeout 20 ssh -F client "$@" 2> >(grep -v 'Could not chdir' >&2); }
s s 'echo hello from $(id -un); exit 7'; echo $?
seq 100000 | s s 'md5sum'
s s 'kill -9 $$'; echo $?
s -tt s 'tty | cut -c1-8; stty size; test -t 0 && echo terminal; exit 3' </dev/null | tr -d '\r'
echo ${PIPESTATUS[0]}
seq 400000 >data
timeout 20 scp -q -F client data s:$dir/copy; cmp data copy && echo same
cat >batch <<END
cd $dir
ls -1 data copy
get data again
rename again moved
mkdir d
put data d/x
chmod 600 d/x
symlink data link
ls -1 d
END
timeout 20 sftp -q -F client -b batch s | grep -v '^sftp>'; cmp data moved; ls -l d | awk '{print $1,$5}'
readlink link
for i in 1 2 3 4 5 6; do s s "echo $i; sleep 0.2" & done | sort
s -M -S "$dir/mux" -fN s; for i in 1 2 3; do s -S "$dir/mux" s "echo over one connection $i"; done
s -S "$dir/mux" -O exit s 2>&1
python3 -m http.server --bind 127.0.0.1 $((port + 1)) >/dev/null 2>&1 & web=$!
s -fN -L $((port + 2)):127.0.0.1:$((port + 1)) -o ExitOnForwardFailure=yes -o ControlMaster=yes -o ControlPath="$dir/m2" s
for _ in $(seq 30); do curl -s -o /dev/null http://127.0.0.1:$((port + 1))/ && break; sleep 0.1; done
curl -s -m 10 http://127.0.0.1:$((port + 2))/ed25519.pub | cmp - ed25519.pub && echo forwarded
s -o ControlPath="$dir/m2" -O exit s 2>&1
kill $web $server; wait 2>/dev/null
grep -c 'Accepted publickey' log; grep -iE 'error|fatal|fail' log | sed 's/ port .*//; s,/dev/pts/[0-9]*,/dev/pts/N,'
