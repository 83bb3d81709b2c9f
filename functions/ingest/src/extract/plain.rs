use super::{Block, Kind, Text};

/// Lines longer than this on average were broken to fit a page; shorter ones end where their author wanted.
const WRAPPED_LINE: usize = 40;

/// The paragraphs of a plain text.
pub(super) fn extract(text: &str) -> Text {
    let text = text.replace("\r\n", "\n").replace(['\r', '\u{c}', '\u{85}'], "\n");
    let mut blocks = Vec::new();
    let mut paragraph: Vec<&str> = Vec::new();
    for line in text.lines().chain([""]) {
        if !line.trim().is_empty() {
            paragraph.push(line.trim());
        } else if !paragraph.is_empty() {
            add(&mut blocks, &std::mem::take(&mut paragraph));
        }
    }
    Text { title: None, blocks }
}

fn add(blocks: &mut Vec<Block>, lines: &[&str]) {
    let characters: usize = lines.iter().map(|line| line.chars().count()).sum();
    if characters >= WRAPPED_LINE * lines.len() {
        blocks.push(Block { kind: Kind::Paragraph, text: lines.join(" "), page: None });
    } else {
        let lines = lines.iter().zip(0..).map(|(line, index)| Block {
            kind: if index == 0 { Kind::Paragraph } else { Kind::Line },
            text: (*line).to_owned(),
            page: None,
        });
        blocks.extend(lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_lines_are_joined_and_short_ones_kept() {
        let text = extract(
            "This paragraph was wrapped by an editor at\nsome column, and so its lines belong together.\n\nname: duck\nlegs: 2\n",
        );
        let texts: Vec<_> = text.blocks.iter().map(|block| block.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "This paragraph was wrapped by an editor at some column, and so its lines belong together.",
                "name: duck",
                "legs: 2"
            ]
        );
    }
}
