# mono: the compiler, threads, garbage collection, processes, sockets.
set -u
source=$(dirname "$0")
cd "$HOME"
cp "$source/main.cs" t.cs
mcs t.cs; echo $?; mono t.exe; echo $?; mono --gc=boehm --version >/dev/null 2>&1; mono -O=-all t.exe | md5sum
MONO_THREADS_SUSPEND=preemptive mono t.exe | tail -2
