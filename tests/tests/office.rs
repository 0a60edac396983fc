//! LibreOffice in a headless session, natively and under Postern: documents made by hand, and what is in their files.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::Rig;
use postern_tests::desktop::{Granted, almost_settled, alone, wait_change, with};
use postern_tests::session::{Session, wait_for};

/// A program of the suite.
struct Kind {
    option: &'static str,
    title: &'static str,
    /// Its own format and another one: ending, member of the file with the text, and a piece of that.
    formats: [[&'static str; 3]; 2],
}

/// Gives a name in the program's chooser.
fn save(rig: &Rig, session: &Session, path: &str) {
    let chooser = session.wait_painted(rig, "Save", 12).unwrap().0;
    session.type_text(rig, path).unwrap();
    let [left, top, width, _] = chooser.rect;
    session.click(left + width - 48, top + 22).unwrap();
    wait_for("the chooser to go", || {
        Ok(session.windows(rig)?.iter().all(|w| w.title != "Save").then_some(()))
    })
    .unwrap();
}

/// Whether a member of a ZIP file contains a text.
fn contains(rig: &Rig, path: &str, member: &str, text: &str) -> bool {
    let program = "import sys, zipfile; sys.exit(sys.argv[3] not in zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]).decode())";
    rig.native(&["python3", "-c", program, path, member, text]).unwrap().status == 0
}

/// Makes a document: `fill` writes into it. Then everything is deleted and brought back, and the document saved in two
/// formats, by a key and by the menu.
fn document(kind: &Kind, fill: impl Fn(&Rig, &Session)) {
    let _one = alone();
    let grant = Granted::new(&kind.option[2..]);
    let folder = grant.path().to_str().unwrap();
    for options in [None, Some(["--grant", folder])] {
        let _ = std::fs::remove_dir_all(grant.file("profile"));
        grant.folder("profile");
        grant.folder("profile/user");
        grant.write(
            "profile/user/registrymodifications.xcu",
            include_bytes!("../programs/office/registrymodifications.xcu"),
        );
        let profile = format!("-env:UserInstallation=file://{folder}/profile");
        let argv =
            ["env", "SAL_USE_VCLPLUGIN=gtk3", "soffice", &profile, "--norestore", "--nologo", kind.option];
        with(options.as_ref().map(|o| &o[..]), &argv, kind.title, |rig, session, window| {
            fill(rig, session);
            let filled = almost_settled(rig, session);
            session.press(rig, &["ctrl"], "a").unwrap();
            session.press(rig, &[], "Delete").unwrap();
            let emptied = wait_change(rig, session, &filled, 30);
            session.press(rig, &["ctrl"], "z").unwrap();
            wait_change(rig, session, &emptied, 30);
            let restored = almost_settled(rig, session);
            for (index, [ending, member, text]) in kind.formats.iter().enumerate() {
                let path = grant.file(&format!("by-hand.{ending}"));
                let _ = std::fs::remove_file(&path);
                if index == 0 {
                    session.press(rig, &["ctrl"], "s").unwrap();
                    save(rig, session, &path);
                } else {
                    // File, Save As.
                    session.click(window.rect[0] + 20, window.rect[1] + 13).unwrap();
                    wait_change(rig, session, &restored, 50_000);
                    session.click(window.rect[0] + 65, window.rect[1] + 301).unwrap();
                    save(rig, session, &path);
                    let dialog = session.wait_painted(rig, "Confirm File Format", 12).unwrap().0;
                    let [left, top, width, height] = dialog.rect;
                    session.click(left + width * 3 / 4, top + height - 23).unwrap();
                }
                wait_for("the document", || Ok(contains(rig, &path, member, text).then_some(()))).unwrap();
                session.wait_window(rig, &format!("by-hand.{ending}")).unwrap();
            }
            session.press(rig, &["ctrl"], "q").unwrap();
            wait_for("its end", || Ok(session.windows(rig)?.is_empty().then_some(()))).unwrap();
            let reports = rig.postern(&["reports"]).unwrap().stdout;
            assert!(!reports.contains("ended by"), "{reports}");
        });
    }
}

/// Replaces a word by another in the whole document, by the dialog for that.
fn replace_all(rig: &Rig, session: &Session, word: &str, by: &str) {
    let title = "Find and Replace";
    session.press(rig, &["ctrl"], "h").unwrap();
    session.wait_painted(rig, title, 12).unwrap();
    let mut before = almost_settled(rig, session);
    let [left, top, width, height] = session.wait_window(rig, title).unwrap().rect;
    // What it does has a place at the lower right: another word, for all, and the end.
    let click = |(x, y): (usize, usize)| session.click(left + width - x, top + height - y).unwrap();
    session.type_text(rig, word).unwrap();
    before = wait_change(rig, session, &before, 30);
    click((351, 350));
    session.type_text(rig, by).unwrap();
    wait_change(rig, session, &before, 30);
    before = almost_settled(rig, session);
    click((86, 295));
    wait_change(rig, session, &before, 30);
    click((53, 27));
    wait_for("the dialog to go", || {
        Ok(session.windows(rig)?.iter().all(|window| !window.title.contains(title)).then_some(()))
    })
    .unwrap();
}

#[test]
#[ignore = "heavy: make programs"]
fn writer() {
    let kind = Kind {
        option: "--writer",
        title: "LibreOffice Writer",
        formats: [
            ["odt", "content.xml", "Written by hand"],
            ["docx", "word/document.xml", "Written by hand"],
        ],
    };
    document(&kind, |rig, session| {
        session.type_text(rig, "Written by hnad.").unwrap();
        replace_all(rig, session, "hnad", "hand");
    });
}

#[test]
#[ignore = "heavy: make programs"]
fn calc() {
    let kind = Kind {
        option: "--calc",
        title: "LibreOffice Calc",
        formats: [
            ["ods", "content.xml", "office:value=\"42\""],
            ["xlsx", "xl/worksheets/sheet1.xml", "<v>42</v>"],
        ],
    };
    document(&kind, |rig, session| session.type_text(rig, "17\n25\n=A1+A2\n").unwrap());
}

#[test]
#[ignore = "heavy: make programs"]
fn impress() {
    let kind = Kind {
        option: "--impress",
        title: "LibreOffice Impress",
        formats: [
            ["odp", "content.xml", "Shown by hand"],
            ["pptx", "ppt/slides/slide1.xml", "Shown by hand"],
        ],
    };
    document(&kind, |rig, session| {
        let templates = session.wait_painted(rig, "Select a Template", 12).unwrap().0;
        almost_settled(rig, session);
        let [left, top, width, height] = templates.rect;
        session.click(left + width - 143, top + height - 27).unwrap();
        wait_for("the templates to go", || {
            Ok(session.windows(rig)?.iter().all(|w| !w.title.contains("Template")).then_some(()))
        })
        .unwrap();
        // The title, and into it.
        for key in ["Tab", "F2"] {
            let before = almost_settled(rig, session);
            session.press(rig, &[], key).unwrap();
            wait_change(rig, session, &before, 30);
        }
        almost_settled(rig, session);
        session.type_text(rig, "Shown by hand").unwrap();
    });
}
