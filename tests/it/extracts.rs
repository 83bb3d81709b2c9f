//! What the sample documents give. Their structure is kept in `tests/golden`, and written anew by
//! `UPDATE_GOLDEN=1 cargo test --workspace --test it -- extracts::`.

use std::fmt::Write;
use std::path::Path;

use ingest::{Kind, Text, split};
use shared::documents::Failure;
use shared::embed::HashingEmbedder;
use tests::{data, reading};

/// So many headings, and of each kind of block, are told in full.
const TOLD: usize = 40;
/// Of a block, so many characters.
const CHARACTERS: usize = 160;

#[tokio::test]
async fn each_sample_gives_what_it_gave() {
    let Some(folder) = data::documents() else { return };
    let mut samples: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    samples.retain(|sample| sample.file_name().is_some_and(|name| name != "README.md"));
    samples.sort();
    let mut different = Vec::new();
    for sample in samples {
        let name = sample.file_name().unwrap().to_str().unwrap();
        let digest = digest(name, &reading::read(&sample, name).await);
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &digest).unwrap();
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != digest {
            different.push(format!("{name}:\n{digest}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// What matters of a text, in few lines.
fn digest(name: &str, outcome: &Result<Text, Failure>) -> String {
    let text = match outcome {
        Ok(text) => text,
        Err(failure) => return format!("{:?}: {}\n", failure.code, failure.detail),
    };
    let passages = split(text, name, &HashingEmbedder::new(64)).unwrap();
    let last_page = text.blocks().filter_map(|block| block.page).max();
    let mut digest = String::new();
    writeln!(digest, "title: {:?}", text.title().unwrap_or_default()).unwrap();
    writeln!(
        digest,
        "characters: {}, blocks: {}, passages: {}, pages: {}",
        text.plain().chars().count(),
        text.blocks().count(),
        passages.len(),
        last_page.map_or("none".to_owned(), |page| page.to_string()),
    )
    .unwrap();
    for (title, wanted) in [
        ("headings", (|kind| matches!(kind, Kind::Heading(_))) as fn(Kind) -> bool),
        ("paragraphs", |kind| kind == Kind::Paragraph),
        ("lines", |kind| kind == Kind::Line),
        ("rows", |kind| matches!(kind, Kind::Columns | Kind::Row)),
    ] {
        let blocks: Vec<_> = text.blocks().filter(|block| wanted(block.kind)).collect();
        if blocks.is_empty() {
            continue;
        }
        writeln!(digest, "\n{title}: {}", blocks.len()).unwrap();
        // Evenly from beginning to end: what goes wrong does not always do so on the first page.
        let most = if title == "headings" { TOLD } else { TOLD / 2 };
        for block in blocks.iter().step_by(blocks.len().div_ceil(most)) {
            let level = if let Kind::Heading(level) = block.kind { format!("{level} ") } else { String::new() };
            let page = block.page.map_or(String::new(), |page| format!("p. {page} "));
            let said: String = block.text.replace('\n', " / ").chars().take(CHARACTERS).collect();
            writeln!(digest, "{level}{page}{said}").unwrap();
        }
    }
    digest
}
