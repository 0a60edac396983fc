//! The running list.

use std::cmp::Ordering;

use super::super::command::SortBy;
use super::super::data::Sample;
use super::super::state::State;
use super::super::view::{Empty, RunningRow, RunningView};
use super::{app_ref, cpu_graph, format};

pub(super) fn view(state: &State) -> RunningView {
    let mut samples: Vec<&Sample> = state.running.values().filter_map(|app| app.latest.as_ref()).collect();
    samples.sort_by(|a, b| {
        let by_name = || state.name_of(&a.app).to_lowercase().cmp(&state.name_of(&b.app).to_lowercase());
        match state.sort {
            SortBy::Name => Ordering::Equal,
            SortBy::Cpu => b.cpu_percent.total_cmp(&a.cpu_percent),
            SortBy::Memory => b.memory_bytes.cmp(&a.memory_bytes),
        }
        .then_with(by_name)
    });
    let rows: Vec<RunningRow> = samples.iter().map(|sample| row(state, sample)).collect();
    let cpu = samples.iter().map(|sample| sample.cpu_percent).sum();
    let memory = samples.iter().map(|sample| sample.memory_bytes).fold(0, u64::saturating_add);
    let count = if rows.len() == 1 { "1 app".to_owned() } else { format!("{} apps", rows.len()) };
    let empty = rows.is_empty().then(|| Empty {
        title: "Nothing is running".to_owned(),
        text: "Apps that you launch appear here, with what they use".to_owned(),
    });
    let total = format!("{count} · {} · {}", format::percent(cpu), format::bytes(memory));
    RunningView { rows, sort: state.sort, total, empty }
}

fn row(state: &State, sample: &Sample) -> RunningRow {
    let history = state.running.get(&sample.app).cloned().unwrap_or_default();
    RunningRow {
        app: app_ref(state, &sample.app),
        graph: cpu_graph(&history),
        cpu: format::percent(sample.cpu_percent),
        memory: format::bytes(sample.memory_bytes),
        processes: if sample.processes == 1 {
            "1 process".to_owned()
        } else {
            format!("{} processes", sample.processes)
        },
        uptime: format::duration(sample.uptime_s),
        stopping: state.stopping.contains(&sample.app),
    }
}
