//! Asks the monitors of all running apps, over connections that stay open from one sample to the next.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use postern_monitor::control::{Client, ClientError, Status};
use postern_monitor::paths;

use super::super::data::{Refusal, Sample};

/// How long one monitor may take to answer before the others are served.
const PATIENCE: Duration = Duration::from_millis(500);

/// Proportional memory is measured at every so many samples: it costs the host a walk through all page tables.
const MEMORY_EVERY: u64 = 3;

/// Measures all running apps.
#[derive(Default)]
pub struct Sampler {
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
    /// Asks every monitor once. Instances of the same app are added up. The order is that of the apps' ids.
    pub fn sample(&mut self) -> Vec<Sample> {
        let memory = self.beat % MEMORY_EVERY == 0;
        self.beat = self.beat.wrapping_add(1);
        let sockets = sockets();
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
    fn ask(&mut self, path: &PathBuf, memory: bool) -> Result<(), ClientError> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => {
                let client = Client::connect(path)?;
                client.set_timeout(PATIENCE)?;
                client
            }
        };
        // The first answer has to have everything.
        let mut status = client.status(memory || self.last.is_none())?;
        self.client = Some(client);
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

/// The control sockets that are there.
fn sockets() -> Vec<PathBuf> {
    let Some(entries) = paths::runtime().ok().and_then(|dir| fs::read_dir(dir).ok()) else {
        return Vec::new();
    };
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
        refused: refused.collect(),
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
    all.refused.extend(more.refused);
    all.at_next_start.extend(more.at_next_start);
    all.restart_needed |= more.restart_needed;
    all.weaker_isolation = all.weaker_isolation.take().or(more.weaker_isolation);
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_program_without_an_app_goes_by_its_instance() {
        assert_eq!(translate(&status("", "sh-77"), 0.0).app, "sh-77");
    }
}
