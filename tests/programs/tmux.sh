# tmux: a server with panes on terminals, driven from outside.
set -u
export TMUX_TMPDIR=$HOME
t() { timeout 20 tmux -L test -f /dev/null "$@"; }
t new-session -d -s one -x 80 -y 24 'env PS1="> " /bin/sh'
t set -g status off
wait_for() { for _ in $(seq 50); do t capture-pane -p -t "$1" | grep -q "$2" && return; sleep 0.1; done; echo "no $2"; }
wait_for one '>'
t send-keys -t one 'echo $((6*7)); stty size; tty | cut -c1-9' Enter
wait_for one pts
t capture-pane -p -t one | sed '/^$/d'
t split-window -h -t one 'exec cat'; t send-keys -t one.1 'into cat' Enter; wait_for one.1 cat
t capture-pane -p -t one.1 | sed '/^$/d'
t send-keys -t one.1 C-d; sleep 0.3; t list-panes -t one | sed 's/ \[history.*//'
t resize-window -t one -x 100 -y 30; t send-keys -t one 'clear; stty size' Enter; wait_for one '30 100'
t send-keys -t one 'sleep 100' Enter; sleep 0.3; t send-keys -t one C-c; t send-keys -t one 'echo status $?' Enter
wait_for one 'status 130'
t new-window -t one -n second 'seq 1 5000; exec sleep 100'; wait_for one:second 5000
t capture-pane -p -S - -t one:second | sed '/^$/d' | md5sum
t pipe-pane -t one:0 "cat >$HOME/piped"; t send-keys -t one:0 'echo for the pipe' Enter; sleep 0.4
grep -c 'for the pipe' "$HOME/piped"
t list-windows -t one -F '#{window_name} #{window_width}x#{window_height}' | tail -1
script -qec 'stty rows 24 cols 80; timeout 5 tmux -L test attach -t one:0' /dev/null </dev/null >"$HOME/seen" &
sleep 0.8; t list-clients -F '#{client_width}x#{client_height}'; t detach-client -s one; wait
grep -c detached "$HOME/seen"
t kill-server; sleep 0.2; t list-sessions 2>&1 | sed 's/ on .*//'
