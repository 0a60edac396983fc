<?php
echo PHP_OS, "\n";
if (function_exists('pcntl_fork')) {
    $p = pcntl_fork();
    if ($p == 0) exit(6);
    pcntl_waitpid($p, $s);
    echo pcntl_wexitstatus($s), "\n";
    pcntl_async_signals(true);
    pcntl_signal(SIGUSR1, function () {
        echo "usr1\n";
    });
    posix_kill(posix_getpid(), SIGUSR1);
}
if (class_exists('PDO') && in_array('sqlite', PDO::getAvailableDrivers())) {
    $d = new PDO('sqlite:p.db');
    $d->exec('create table t(a)');
    $d->beginTransaction();
    for ($i = 0; $i < 500; $i++) $d->exec("insert into t values($i)");
    $d->commit();
    echo $d->query('select sum(a) from t')->fetchColumn(), "\n";
}
$s = stream_socket_server('tcp://127.0.0.1:0', $e, $m);
$n = stream_socket_get_name($s, false);
$c = stream_socket_client("tcp://$n");
$a = stream_socket_accept($s);
fwrite($c, "hello\n");
echo fgets($a);
stream_set_blocking($a, false);
$r = [$a];
$w = $x = null;
echo stream_select($r, $w, $x, 0, 100000), "\n";
[$u, $v] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
fwrite($u, 'pair');
fclose($u);
echo stream_get_contents($v), "\n";
$p = proc_open(['cat'], [['pipe', 'r'], ['pipe', 'w']], $pipes);
fwrite($pipes[0], 'through');
fclose($pipes[0]);
echo stream_get_contents($pipes[1]), proc_close($p), "\n";
echo shell_exec('echo shell'), file_put_contents('f', str_repeat('x', 100000), LOCK_EX), ' ', filesize('f'), "\n";
foreach (new RecursiveIteratorIterator(new RecursiveDirectoryIterator('/usr/share/perl5', FilesystemIterator::SKIP_DOTS)) as $f) @$k++;
echo $k > 1, "\n";
$t = tmpfile();
fwrite($t, 'temp');
fseek($t, 0);
echo fread($t, 9), "\n";
echo json_encode(array_map(fn($x) => $x ** 2, range(1, 5))), md5(serialize(range(1, 100000))), "\n";
echo gethostbyname('localhost'), ' ', get_current_user() === posix_getpwuid(posix_geteuid())['name'], "\n";
copy('f', 'g');
rename('g', 'h');
echo filesize('h'), "\n";
set_error_handler(fn($n, $m) => print(preg_replace('/.*: /', '', $m) . "\n"));
fopen('/none', 'r');
exit(9);
