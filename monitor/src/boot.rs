//! Writes the start-up block: how a family learns what to run.

use postern_abi::boot::{Boot, MAGIC, Mount, Section};
use postern_abi::layout::BOOT_SIZE;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use zerocopy::IntoBytes as _;

/// Everything the block says, in the host's types. Fields are those of [`Boot`].
#[derive(Clone, Debug, Default)]
pub struct BootBlock {
    /// Numbers; the sections of it are filled in by [`BootBlock::encode`].
    pub header: Boot,
    /// Path of the program, as the app sees it.
    pub program: OsString,
    /// Working directory, as the app sees it.
    pub cwd: OsString,
    /// Host name.
    pub hostname: String,
    /// Arguments.
    pub argv: Vec<OsString>,
    /// Environment, `NAME=VALUE`.
    pub envp: Vec<OsString>,
    /// Mounts: number, [`postern_abi::boot::mount`] bits, path, link target.
    pub mounts: Vec<(u32, u32, OsString, OsString)>,
    /// The seccomp filter.
    pub filter: &'static [u8],
    /// Texts served as files, each put in by [`push_text`].
    pub texts: Vec<u8>,
    /// What to look up ahead; see [`Boot::ahead`].
    pub ahead: Vec<u8>,
    /// Known call sites; see [`Boot::sites`].
    pub sites: Vec<u8>,
}

/// The block does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("arguments and environment are too long")]
pub struct TooLong;

impl BootBlock {
    /// The bytes to be put at [`postern_abi::layout::BOOT_BASE`].
    ///
    /// # Errors
    /// [`TooLong`] if they would not fit there.
    pub fn encode(&self) -> Result<Vec<u8>, TooLong> {
        let mut out = Encoder { bytes: vec![0; size_of::<Boot>()] };
        let mut header = self.header;
        header.magic = MAGIC;
        header.version = postern_abi::VERSION;
        header.program = out.section(self.program.as_bytes())?;
        header.cwd = out.section(self.cwd.as_bytes())?;
        header.hostname = out.section(self.hostname.as_bytes())?;
        header.argv = out.section(&strings(&self.argv))?;
        header.envp = out.section(&strings(&self.envp))?;
        let mut mounts = Vec::new();
        for (id, flags, path, target) in &self.mounts {
            let len = |s: &OsString| u32::try_from(s.len()).map_err(|_| TooLong);
            let mount = Mount { id: *id, flags: *flags, path_len: len(path)?, target_len: len(target)? };
            mounts.extend_from_slice(mount.as_bytes());
            mounts.extend_from_slice(path.as_bytes());
            mounts.extend_from_slice(target.as_bytes());
            mounts.resize(mounts.len().next_multiple_of(8), 0);
        }
        header.mounts = out.section(&mounts)?;
        header.filter = out.section(self.filter)?;
        header.texts = out.section(&self.texts)?;
        // Only hints: without room for them the app starts all the same.
        for (hint, section) in [(&self.sites, &mut header.sites), (&self.ahead, &mut header.ahead)] {
            if out.bytes.len().saturating_add(hint.len()) < BOOT_SIZE - 8 {
                *section = out.section(hint)?;
            }
        }
        header.len = u32::try_from(out.bytes.len()).map_err(|_| TooLong)?;
        if out.bytes.len() > BOOT_SIZE {
            return Err(TooLong);
        }
        for (place, byte) in out.bytes.iter_mut().zip(header.as_bytes()) {
            *place = *byte;
        }
        Ok(out.bytes)
    }
}

/// Appends a text that the library OS serves as the file `path` to the texts of a start-up block. One that is too long
/// to say so is left out.
pub fn push_text(texts: &mut Vec<u8>, path: &str, text: &[u8]) {
    if let Ok(len) = u32::try_from(text.len()) {
        texts.extend_from_slice(path.as_bytes());
        texts.push(0);
        texts.extend_from_slice(&len.to_le_bytes());
        texts.extend_from_slice(text);
    }
}

/// A string list: each with its NUL.
fn strings(list: &[OsString]) -> Vec<u8> {
    let mut out = Vec::new();
    for string in list {
        out.extend(string.as_bytes().iter().copied().filter(|byte| *byte != 0));
        out.push(0);
    }
    out
}

struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    fn section(&mut self, content: &[u8]) -> Result<Section, TooLong> {
        // The library OS reads records and filter instructions in place.
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let number = |n: usize| u32::try_from(n).map_err(|_| TooLong);
        let section = Section { offset: number(self.bytes.len())?, len: number(content.len())? };
        self.bytes.extend_from_slice(content);
        Ok(section)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_abi::boot::{mount, split_mount};
    use zerocopy::FromBytes as _;

    #[test]
    fn what_is_written_can_be_read() {
        let mut texts = Vec::new();
        push_text(&mut texts, "/proc/version", b"Linux\n");
        let block = BootBlock {
            program: "/bin/sh".into(),
            argv: vec!["sh".into(), "".into(), "-c".into()],
            mounts: vec![
                (1, mount::READ_ONLY, "/usr".into(), "".into()),
                (0, mount::LINK, "/bin".into(), "usr/bin".into()),
            ],
            texts,
            filter: crate::filter::program(true),
            ..BootBlock::default()
        };
        let bytes = block.encode().expect("fits");
        let (boot, _) = Boot::read_from_prefix(&bytes).expect("a header");
        assert_eq!((boot.magic, boot.version), (MAGIC, postern_abi::VERSION));
        assert_eq!(boot.program.of(&bytes), b"/bin/sh");
        assert_eq!(boot.argv.of(&bytes), b"sh\0\0-c\0");
        assert_eq!(boot.filter.of(&bytes), crate::filter::program(true));
        let (first, path, target, rest) = split_mount(boot.mounts.of(&bytes)).expect("a mount");
        assert_eq!((first.id, path, target), (1, &b"/usr"[..], &b""[..]));
        let (second, path, target, rest) = split_mount(rest).expect("a link");
        assert_eq!((second.flags, path, target, rest.len()), (mount::LINK, &b"/bin"[..], &b"usr/bin"[..], 0));
        assert_eq!(boot.texts.of(&bytes), b"/proc/version\0\x06\0\0\0Linux\n");
    }

    #[test]
    fn a_hint_without_room_is_left_out() {
        let ahead = |len| BootBlock { ahead: vec![b'x'; len], ..BootBlock::default() }.encode();
        let told = |bytes: &[u8]| Boot::read_from_prefix(bytes).expect("a header").0.ahead.of(bytes).len();
        assert_eq!(ahead(100).map(|bytes| told(&bytes)), Ok(100));
        assert_eq!(ahead(BOOT_SIZE).map(|bytes| told(&bytes)), Ok(0));
    }

    #[test]
    fn too_much_is_refused() {
        let argv = vec![OsString::from("x".repeat(BOOT_SIZE))];
        assert_eq!(BootBlock { argv, ..BootBlock::default() }.encode(), Err(TooLong));
    }
}
