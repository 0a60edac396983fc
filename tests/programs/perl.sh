# perl: threads, forks, sockets, System V shared memory.
set -u
source=$(dirname "$0")
cd "$HOME"
cp "$source/main.pl" t.pl
perl t.pl; echo $?
perl -e 'my %h; $h{$_ % 1000} .= $_ for 1..300000; print length join "", map { $h{$_} } sort keys %h; print "\n"'
