# GLib's own tests, as Debian installs them: sockets, files, D-Bus, processes, threads. Those that take long are left out.
set -u
tests=/usr/libexec/installed-tests/glib; cd $tests
export XDG_RUNTIME_DIR=$HOME/run G_TEST_SRCDIR=$tests G_TEST_BUILDDIR=$tests
mkdir -m 700 "$XDG_RUNTIME_DIR"
slow='^(.*py|slice-.*|.*-refcount.*|.*mutex|rwlock|performance.*|memory-monitor.*|sequence|timeout|timer|thread.*'
slow="$slow|io-channel-basic|gvariant|gdbus-server.*|sleepy-stream|gsubprocess|gmenumodel|mainloop|power-profile.*)$"
for file in /usr/share/installed-tests/glib/*.test; do
    name=$(basename "$file" .test)
    echo "$name" | grep -qE "$slow" && continue
    timeout 60 sh -c "$(sed -n 's/^Exec=//p' "$file")" >"$HOME/out" 2>&1; status=$?
    echo "$name $status $(grep -c '^ok' "$HOME/out") $(grep '^not ok' "$HOME/out" | head -3 | cut -c1-100)"
done
