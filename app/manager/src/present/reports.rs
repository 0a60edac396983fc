//! The crash reports.

use super::super::data::{Frame, Report};
use super::super::state::State;
use super::super::view::{Empty, FrameRow, PageView, ReportRow, ReportView, ReportsView};
use super::{app_ref, format};

pub(super) fn list_view(state: &State) -> ReportsView {
    let rows: Vec<ReportRow> = state.visible_reports().map(|report| row(state, report)).collect();
    let empty = rows.is_empty().then(|| Empty {
        title: "No crashes".to_owned(),
        text: "When an app ends unexpectedly, what happened is kept here".to_owned(),
    });
    ReportsView { rows, empty }
}

pub(super) fn row(state: &State, report: &Report) -> ReportRow {
    ReportRow {
        id: report.id.clone(),
        app: app_ref(state, &report.app),
        summary: report.summary.clone(),
        when: format::ago(state.unix_now, report.unix_seconds),
        fresh: !state.seen_reports.contains(&report.id),
    }
}

pub(super) fn report_view(state: &State, id: &str) -> PageView {
    let Some(report) = state.reports.iter().find(|report| report.id == id) else {
        return PageView::Missing(Empty {
            title: "This crash report is gone".to_owned(),
            text: "It was deleted".to_owned(),
        });
    };
    let fact = |name: &str, value: Option<String>| value.map(|value| (name.to_owned(), value));
    let facts = [
        fact("Signal", report.signal.clone()),
        fact("Address", report.fault_address.map(|address| format!("{address:#018x}"))),
        fact("Thread", report.thread.clone()),
        fact("Time", Some(format::date(report.unix_seconds))),
    ];
    PageView::Report(Box::new(ReportView {
        row: row(state, report),
        facts: facts.into_iter().flatten().collect(),
        backtrace: report.backtrace.iter().map(frame).collect(),
        refused: report.refused.clone(),
        details: report.details.clone(),
        text: report.text.clone(),
        can_launch: state.app(&report.app).is_some_and(|app| app.command.is_ok()),
    }))
}

fn frame(frame: &Frame) -> FrameRow {
    FrameRow {
        address: format!("{:#018x}", frame.address),
        function: frame.function.clone().unwrap_or_else(|| "unknown function".to_owned()),
        named: frame.function.is_some(),
        module: frame.module.clone().unwrap_or_default(),
    }
}
