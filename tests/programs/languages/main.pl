use strict;
use warnings;
use threads;
use threads::shared;
use Thread::Queue;
use IO::Socket::INET;
use IO::Select;
use POSIX qw(:sys_wait_h);
use File::Temp 'tempfile';
use File::Find;
use Time::HiRes 'sleep';
use Fcntl ':flock';
use IPC::Open3;
use IPC::SysV qw(IPC_PRIVATE IPC_RMID IPC_CREAT S_IRUSR S_IWUSR);
use Storable;
use Socket;
use Digest::MD5;
$| = 1;
my $n :shared = 0;
my @t = map {
    threads->create(sub {
        for (1..200) {
            lock $n;
            $n++
        }
        return threads->tid
    })
} 1..6;
my $s = 0;
$s += $_->join for @t;
print "$n $s\n";
my $q = Thread::Queue->new;
my $w = threads->create(sub {
    my $c = 0;
    while (defined(my $x = $q->dequeue)) { $c += $x }
    $c
});
$q->enqueue(1..100);
$q->end;
print $w->join, "\n";
for my $i (1..5) {
    my $p = fork;
    exit $i unless $p;
    waitpid $p, 0;
    print $? >> 8, ' '
}
print "\n";
my $l = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die $!;
my $p = fork;
unless ($p) {
    my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $l->sockport);
    print $c "hi\n";
    print scalar <$c>;
    exit
}
my $c = $l->accept;
my $x = <$c>;
print $c "got $x";
close $c;
waitpid $p, 0;
local $SIG{ALRM} = sub { die "alarm\n" };
eval {
    alarm 1;
    select undef, undef, undef, 5;
};
print $@;
local $SIG{CHLD} = sub { while (waitpid(-1, WNOHANG) > 0) { print "child\n" } };
system 'true';
unless (fork) { exit } sleep 0.3;
$SIG{CHLD} = 'DEFAULT';
my $pid = open3(my $in, my $out, undef, 'sh', '-c', 'cat; echo e >&2');
print $in "x\n";
close $in;
print while <$out>;
waitpid $pid, 0;
print `echo back`, $?, "\n";
print system('sh', '-c', 'exit 3') >> 8, "\n";
open my $f, '+>', 'lk';
print flock($f, LOCK_EX), "\n";
my $k = 0;
find(sub { $k++ }, '/usr/share/perl/5.36');
print $k, "\n";
my $id = shmget(IPC_PRIVATE, 100, IPC_CREAT | S_IRUSR | S_IWUSR);
shmwrite $id, 'shared', 0, 6;
shmread $id, my $b, 0, 6;
shmctl $id, IPC_RMID, 0;
print "$b\n";
store [1..10], 'st';
print scalar @{retrieve 'st'}, "\n";
my @p = getpwuid $>;
print $p[2] == $<, "\n";
kill 'KILL', $$;
