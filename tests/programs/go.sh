# Go: the compiler, and static programs that make their own system calls.
set -u
source=$(dirname "$0")
cd "$HOME"; export GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local CGO_ENABLED=0; mkdir m; cd m
printf 'module m\n\ngo 1.19\n' >go.mod
cp "$source/main.go" m.go
cp "$source/main_test.go" m_test.go
go build -o prog .; echo $?; ./prog 2>err; echo $?; head -1 err; go vet .; echo $?; go test . | sed 's/[0-9.]*s$//'
gofmt -l m_test.go; go run . >/dev/null 2>&1; echo $?; GOMAXPROCS=1 ./prog 2>/dev/null | head -3
GODEBUG=asyncpreemptoff=1 ./prog 2>/dev/null | head -2 &  sleep 1; kill %1 2>/dev/null; wait
