//! Asks the monitors of all running apps, over connections that stay open from one sample to the next.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postern_monitor::control::{Client, ClientError, Status};

use super::super::data::{Refusal, Sample};

/// How long one monitor may take to answer before the others are served.
const PATIENCE: Duration = Duration::from_millis(500);

/// Proportional memory is measured at every so many samples: it costs the host a walk through all page tables.
const MEMORY_EVERY: u64 = 3;

/// Measures all running apps.
pub struct Sampler {
    /// Where the control sockets are.
    dir: Option<PathBuf>,
    beat: u64,
    instances: BTreeMap<PathBuf, Instance>,
}

/// A running instance of an app.
#[derive(Default)]
struct Instance {
    client: Option<Client>,
    last: Option<Status>,
    /// Processor use in per cent of one core, between the last two answers.
    cpu_percent: f32,
}

impl Sampler {
    /// Measures the apps whose control sockets are in this directory.
    pub fn new(dir: Option<PathBuf>) -> Self {
        Self { dir, beat: 0, instances: BTreeMap::new() }
    }

    /// Asks every monitor once. Instances of the same app are added up. The order is that of the apps' ids.
    pub fn sample(&mut self) -> Vec<Sample> {
        let memory = self.beat.is_multiple_of(MEMORY_EVERY);
        self.beat = self.beat.wrapping_add(1);
        let sockets = self.dir.as_deref().map(sockets).unwrap_or_default();
        self.instances.retain(|path, _| sockets.contains(path));
        for path in sockets {
            let instance = self.instances.entry(path.clone()).or_default();
            if let Err(ClientError::Dead(_)) = instance.ask(&path, memory) {
                // A monitor that is gone leaves its socket behind.
                let _ = fs::remove_file(&path);
                self.instances.remove(&path);
            }
        }
        let mut samples: BTreeMap<String, Sample> = BTreeMap::new();
        for instance in self.instances.values() {
            let Some(status) = &instance.last else { continue };
            let sample = translate(status, instance.cpu_percent);
            match samples.get_mut(&sample.app) {
                None => drop(samples.insert(sample.app.clone(), sample)),
                Some(all) => add(all, sample),
            }
        }
        samples.into_values().collect()
    }
}

impl Instance {
    /// Brings this instance up to date. One that does not answer in time keeps its last state.
    fn ask(&mut self, path: &Path, memory: bool) -> Result<(), ClientError> {
        // The first answer has to have everything.
        let memory = memory || self.last.is_none();
        let mut status = match self.client.as_mut().map(|client| client.status(memory)) {
            Some(Ok(status)) => status,
            // A new connection tells whether the monitor is gone or only the old one broke.
            _ => {
                let client = self.client.insert(Client::connect(path)?);
                client.set_timeout(PATIENCE)?;
                client.status(memory)?
            }
        };
        if let Some(last) = &self.last {
            if status.pss_bytes == 0 {
                status.pss_bytes = last.pss_bytes;
            }
            let cpu_us = status.cpu_us.saturating_sub(last.cpu_us) as f32;
            let passed_us = status.uptime_ms.saturating_sub(last.uptime_ms) as f32 * 1000.0;
            if passed_us > 0.0 {
                self.cpu_percent = cpu_us / passed_us * 100.0;
            }
        }
        self.last = Some(status);
        Ok(())
    }
}

/// The control sockets in a directory.
fn sockets(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut sockets: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "sock"))
        .collect();
    sockets.sort();
    sockets
}

/// What an instance counts as: its app, or itself where it is a program without one.
pub(super) fn key_of(status: &Status) -> &str {
    if status.app.is_empty() { &status.instance } else { &status.app }
}

fn translate(status: &Status, cpu_percent: f32) -> Sample {
    let refused = status.denied.iter().map(|denied| Refusal {
        what: denied.what.clone(),
        count: denied.count,
        permission: super::key_named(&denied.permission),
    });
    Sample {
        app: key_of(status).to_owned(),
        name: status.name.clone(),
        monitor_pid: status.pid,
        uptime_s: status.uptime_ms / 1000,
        cpu_percent,
        memory_bytes: if status.pss_bytes > 0 { status.pss_bytes } else { status.rss_bytes },
        processes: status.processes,
        threads: status.threads,
        network_bytes: (status.network.read, status.network.written),
        disk_bytes: (status.io.read, status.io.written),
        frames: status.frames,
        copied_frames: status.copied_frames,
        refused: refused.collect(),
        unsupported: status.unsupported.iter().map(|(name, count)| (name.clone(), *count)).collect(),
        in_force: super::translate_permissions(&status.permissions),
        dropped: status.dropped.clone(),
        restart_needed: !status.at_next_start.is_empty(),
        at_next_start: status.at_next_start.iter().filter_map(|name| super::key_named(name)).collect(),
        weaker_isolation: status.sandbox.weaker.clone(),
    }
}

fn add(all: &mut Sample, more: Sample) {
    all.uptime_s = all.uptime_s.max(more.uptime_s);
    all.cpu_percent += more.cpu_percent;
    all.memory_bytes = all.memory_bytes.saturating_add(more.memory_bytes);
    all.processes = all.processes.saturating_add(more.processes);
    all.threads = all.threads.saturating_add(more.threads);
    for (all, more) in [(&mut all.network_bytes, more.network_bytes), (&mut all.disk_bytes, more.disk_bytes)]
    {
        *all = (all.0.saturating_add(more.0), all.1.saturating_add(more.1));
    }
    all.frames = all.frames.saturating_add(more.frames);
    all.copied_frames = all.copied_frames.saturating_add(more.copied_frames);
    all.refused.extend(more.refused);
    all.unsupported.extend(more.unsupported);
    all.in_force.network |= more.in_force.network;
    all.in_force.clipboard_read |= more.in_force.clipboard_read;
    all.in_force.clipboard_write |= more.in_force.clipboard_write;
    all.at_next_start.extend(more.at_next_start);
    all.dropped.extend(more.dropped);
    all.restart_needed |= more.restart_needed;
    all.weaker_isolation = all.weaker_isolation.take().or(more.weaker_isolation);
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::UnixListener;

    use postern_monitor::control::Reply;

    use super::*;

    fn status(app: &str, instance: &str) -> Status {
        Status {
            app: app.to_owned(),
            instance: instance.to_owned(),
            pid: 7,
            uptime_ms: 2500,
            rss_bytes: 50,
            processes: 2,
            at_next_start: vec!["home".to_owned(), "files".to_owned()],
            ..Status::default()
        }
    }

    #[test]
    fn instances_of_an_app_are_added_up() {
        let mut all = translate(&status("foot", "foot-1"), 10.0);
        add(&mut all, translate(&Status { pss_bytes: 30, ..status("foot", "foot-2") }, 5.0));
        assert_eq!((all.cpu_percent, all.memory_bytes, all.processes, all.uptime_s), (15.0, 80, 4, 2));
        assert!(all.restart_needed);
    }

    /// A monitor that answers every request with the next of these, each a second after the other, and is gone after
    /// the last.
    fn serve(path: &Path, answers: Vec<Status>) -> std::thread::JoinHandle<()> {
        let listener = UnixListener::bind(path).expect("a socket");
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client");
            let mut lines = BufReader::new(stream.try_clone().expect("a copy")).lines();
            for status in answers {
                lines.next().expect("a request").expect("a line");
                let reply = serde_json::to_string(&Reply::Status(Box::new(status))).expect("text");
                writeln!(&stream, "{reply}").expect("sent");
            }
        })
    }

    #[test]
    fn monitors_are_found_measured_and_forgotten_when_they_die() {
        let dir = std::env::temp_dir().join(format!("postern-sampler-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a directory");
        // What a dead monitor leaves behind.
        drop(UnixListener::bind(dir.join("old-1.sock")).expect("a socket"));
        let first = Status { cpu_us: 1_000_000, pss_bytes: 4096, ..status("foot", "foot-1") };
        let second = Status { cpu_us: 1_250_000, uptime_ms: 3500, ..status("foot", "foot-1") };
        let monitor = serve(&dir.join("foot-1.sock"), vec![first, second]);
        let mut sampler = Sampler::new(Some(dir.clone()));
        let seen = sampler.sample();
        assert_eq!(seen.iter().map(|sample| sample.app.as_str()).collect::<Vec<_>>(), ["foot"]);
        assert!(!dir.join("old-1.sock").exists(), "the dead monitor's socket is removed");
        let seen = sampler.sample();
        assert_eq!(seen.first().map(|sample| (sample.cpu_percent, sample.memory_bytes)), Some((25.0, 4096)));
        monitor.join().expect("the monitor did its work");
        assert!(sampler.sample().is_empty());
        let _ = fs::remove_dir_all(dir);
    }

    #[test]
    fn a_program_without_an_app_goes_by_its_instance() {
        assert_eq!(translate(&status("", "sh-77"), 0.0).app, "sh-77");
    }
}
