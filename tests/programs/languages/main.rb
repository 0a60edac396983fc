require 'socket'; require 'open3'; require 'tempfile'; require 'etc'; require 'timeout'; require 'digest';
require 'io/console'; require 'pty'
q = Queue.new; t = 8.times.map { |i| Thread.new { 100.times { |j| q << i * j } } }; t.each(&:join); s = 0;
s += q.pop until q.empty?; puts s
m = Mutex.new; n = 0; 10.times.map { Thread.new { 1000.times { m.synchronize { n += 1 } } } }.each(&:join); puts n
pids = 5.times.map { |i| fork { exit i } }; puts pids.map { |p| Process.wait2(p)[1].exitstatus }.inspect
r, w = IO.pipe; fork { r.close; w.puts 'from child'; exit! }; w.close; puts r.read; Process.wait
srv = TCPServer.new('127.0.0.1', 0); th = Thread.new { 5.times { c = srv.accept; c.puts c.gets.upcase; c.close } }
5.times { |i| TCPSocket.open('127.0.0.1', srv.addr[1]) { |c| c.puts "line #{i}"; puts c.gets } }; th.join
UNIXServer.open('rsock') { |u| c = UNIXSocket.new('rsock'); a = u.accept; a.send_io($stdout); io = c.recv_io; io.puts 'passed'; io.flush }
o, e, st = Open3.capture3('sh', '-c', 'cat; echo err >&2; exit 4', stdin_data: 'data'); puts o, e, st.exitstatus
begin; Timeout.timeout(0.2) { sleep 5 }; rescue Timeout::Error; puts 'timeout'; end
trap('USR1') { puts 'usr1' }; Process.kill('USR1', $$); sleep 0.05
PTY.spawn('tty; stty size') { |i, _, p| puts((i.read rescue '').lines.first.to_s[0, 9]); Process.wait p } rescue puts 'eio'
puts Digest::SHA256.hexdigest('x' * 1_000_000), Etc.getpwuid.uid == Process.uid, Process.clock_gettime(Process::CLOCK_MONOTONIC) > 0
begin; Process.kill(0, 1 << 22 - 1); rescue SystemCallError => x; puts x.class; end
f = Fiber.new { |x| x = Fiber.yield(x + 1) while x < 1000 }; x = 0; x = f.resume(x) while f.alive? && x < 999; puts x
puts (1..200).reduce(:*).to_s.size; a = []; 200_000.times { a << +'x' * 20; a.clear if a.size > 5000 }; GC.start;
puts GC.count > 0
puts `#{RbConfig.ruby} -e 'p 1'`, $?.exitstatus; at_exit { puts 'bye' }; exit 2
