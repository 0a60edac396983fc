# rustc and cargo without network: a crate, a dependency by path, a build script, tests, a release build.
set -u
source=$(dirname "$0")
export CARGO_HOME=$HOME/.cargo; cd "$HOME"; cargo new -q --vcs none --lib dep; cargo new -q --vcs none app
cp "$source/lib.rs" dep/src/lib.rs
printf 'dep = { path = "../dep" }\n' >>app/Cargo.toml
echo 'fn main() { println!("cargo:rustc-env=BUILT=by build script"); }' >app/build.rs
cp "$source/main.rs" app/src/main.rs
cd app; cargo build --offline --release 2>&1 | sed 's/ in [0-9.]*s//; s#(/.*)##' | sort
target/release/app 2>/dev/null; echo $?; RUST_BACKTRACE=1 target/release/app x 2>&1 >/dev/null | grep -c 'main'
cd ../dep; cargo test --offline 2>&1 | grep -E '^test|error' | sed 's/finished in .*//' | sort; cd ../app
touch src/main.rs; cargo build --offline --release 2>&1 | sed 's/ in [0-9.]*s//; s#(/.*)##' | sort
cargo run -q --offline --release >/dev/null 2>&1; echo $?
echo 'fn main() { let x: i32 = "a"; }' >bad.rs; rustc bad.rs 2>&1 | grep -c E0308
