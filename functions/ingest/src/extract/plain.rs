use shared::documents::Failure;

use crate::text::{Kind, Text};

/// Lines longer than this on average were broken to fit a page; shorter ones end where their author wanted.
const WRAPPED_LINE: usize = 40;

/// The paragraphs of a plain text.
pub(super) fn extract(plain: &str) -> Result<Text, Failure> {
    let mut text = Text::default();
    let mut paragraph: Vec<&str> = Vec::new();
    for line in lines(plain).chain([""]) {
        if !line.trim().is_empty() {
            paragraph.push(line.trim());
        } else if !paragraph.is_empty() {
            add(&mut text, &std::mem::take(&mut paragraph))?;
        }
    }
    Ok(text)
}

/// Lines however they end: with a line feed, a carriage return or both, a form feed, or the NEL of old mainframes.
fn lines(plain: &str) -> impl Iterator<Item = &str> {
    plain.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split(['\r', '\u{c}', '\u{85}']))
}

fn add(text: &mut Text, lines: &[&str]) -> Result<(), Failure> {
    let characters: usize = lines.iter().map(|line| line.chars().count()).sum();
    if characters >= WRAPPED_LINE * lines.len() {
        return text.push(Kind::Paragraph, &lines.join(" "), None);
    }
    for (index, line) in lines.iter().enumerate() {
        text.push(if index == 0 { Kind::Paragraph } else { Kind::Line }, line, None)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_lines_are_joined_and_short_ones_kept() {
        let text = extract(
            "This paragraph was wrapped by an editor at\nsome column, and so its lines belong together.\n\nname: duck\nlegs: 2\r\n",
        )
        .unwrap();
        let texts: Vec<_> = text.blocks().map(|block| block.text).collect();
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
