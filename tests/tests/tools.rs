//! git, gcc, tar, xz and their like on real trees.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::Rig;

fn shell(text: &str) {
    let rig = Rig::new().unwrap();
    let out = rig.same(&["/bin/bash", "-euc", text]);
    assert_eq!(out.status, 0, "{out:?}");
}

#[test]
fn git() {
    shell(
        "export GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z' GIT_CONFIG_NOSYSTEM=1\n\
         export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b\n\
         cd \"$HOME\"; /usr/bin/git init -q -b main repo; cd repo\n\
         for i in $(seq 30); do echo $i > file$i; /usr/bin/git add .; /usr/bin/git commit -q -m \"commit $i\"; done\n\
         /usr/bin/git log --oneline | head -5; /usr/bin/git gc -q; /usr/bin/git fsck --full 2>/dev/null; /usr/bin/git count-objects | cut -d, -f1\n\
         /usr/bin/git checkout -q -b other HEAD~5; echo x > file1; /usr/bin/git commit -q -a -m other; /usr/bin/git merge -q main -m merged; /usr/bin/git status --short; /usr/bin/git rev-parse HEAD\n\
         /usr/bin/git clone -q . ../copy; ls ../copy | wc -l; cd ..; rm -rf repo copy",
    );
}

#[test]
fn gcc_compiles_and_the_program_runs() {
    shell(
        "cd \"$HOME\"; cat > t.c <<'END'\n#include <stdio.h>\n#include <math.h>\nint main(int c, char **v) { printf(\"%d %s %.3f\\n\", c, v[1], sqrt(2)); return 9; }\nEND\n\
         gcc -O2 -Wall -o t t.c -lm; set +e; ./t hello; echo $?; gcc -static -o s t.c -lm && ./s static; echo $?; \
         echo 'int main( {' > bad.c; gcc bad.c 2>&1 | head -3; rm -f t.c t s bad.c",
    );
}

#[test]
fn tar_and_xz_of_a_tree() {
    shell(
        "cd \"$HOME\"; tar -C /usr/share --sort=name -cf a.tar perl5 xml 2>/dev/null || tar -C /usr/include --sort=name -cf a.tar .\n\
         sha256sum < a.tar; xz -T2 -1 -k a.tar; xz -dc a.tar.xz | cmp - a.tar; gzip -n a.tar; sha256sum < a.tar.gz\n\
         mkdir out; tar -C out -xzf a.tar.gz; find out | sort | sha256sum; find out -type f -print0 | sort -z | xargs -0 cat | sha256sum; rm -rf out a.tar.gz a.tar.xz",
    );
}

#[test]
fn sqlite_shell_sed_and_awk() {
    shell(
        "cd \"$HOME\"; sqlite3 a.db 'create table t(a,b); insert into t values(1,2),(3,4); select sum(a*b) from t;'; rm a.db\n\
         seq 100000 | awk '{s+=$1*$1} END {print s}'; seq 1000 | sed -n 's/^\\(.\\)00$/\\1 hundred/p'; seq 50000 | sort -R | sort -n | md5sum; \
         dd if=/dev/zero bs=64k count=100 status=none | sha1sum; date -u -d @86400; env | grep -c HOME",
    );
}

#[test]
fn busybox_applets() {
    let rig = Rig::new().unwrap();
    let out = rig.same_script("busybox", &[]);
    assert!(out.stdout.ends_with("end\n"), "{out:?}");
}

#[test]
fn many_processes_and_their_locks() {
    let rig = Rig::new().unwrap();
    let out = rig.same_script("parallel", &[]);
    assert!(out.stdout.ends_with("inside\nfree\n"), "{out:?}");
}

#[test]
fn a_big_compilation_and_a_parallel_make() {
    let rig = Rig::new().unwrap();
    let out = rig.same_script("compile", &[]);
    assert!(out.stdout.contains("22140"), "{out:?}");
}
