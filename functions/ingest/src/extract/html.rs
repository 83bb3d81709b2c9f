use dom_smoothie::{Config, Readability, TextMode};

use shared::documents::Failure;

use super::{corrupt, markdown, no_text};
use crate::text::Text;

/// Whether a text is a web page.
pub(super) fn is_html(text: &str) -> bool {
    let start: String = text.trim_start_matches('\u{feff}').trim_start().chars().take(512).collect();
    let start = start.to_ascii_lowercase();
    ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| start.contains(tag)) && start.starts_with('<')
}

/// Elements that are deeper in others than this are of no page that a person made; the time to read them grows with the
/// square of their depth.
const DEEPEST: usize = 2000;
/// Elements that pages often leave open.
const LEFT_OPEN: [&str; 18] = [
    "p", "li", "dt", "dd", "tr", "td", "th", "option", "br", "hr", "img", "input", "meta", "link", "source", "col",
    "wbr", "area",
];

fn is_too_deep(html: &str) -> bool {
    let mut depth = 0_usize;
    html.split('<').skip(1).any(|tag| {
        let closes = tag.starts_with('/');
        let name = tag.trim_start_matches('/').split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        if closes {
            depth = depth.saturating_sub(1);
        } else if !name.is_empty() && !LEFT_OPEN.contains(&name.to_ascii_lowercase().as_str()) {
            depth += 1;
        }
        depth > DEEPEST
    })
}

/// The main content of a page, without navigation, scripts and styles, by way of Markdown.
pub(super) fn extract(html: &str) -> Result<Text, Failure> {
    if is_too_deep(html) {
        return Err(corrupt());
    }
    let config = Config { text_mode: TextMode::Markdown, ..Config::default() };
    let article = Readability::new(html, None, Some(config)).and_then(|mut page| page.parse());
    let article = article.map_err(|_| no_text())?;
    let mut text = markdown::extract(&article.text_content)?;
    text.entitle(&article.title);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_told_from_texts_about_pages() {
        assert!(is_html("<!DOCTYPE html>\n<html><body>x</body></html>"));
        assert!(is_html("<!-- saved --><html><body>x</body></html>"));
        assert!(!is_html("The tag <html> begins a page."));
        assert!(!is_html("a < b"));
    }

    #[test]
    fn only_what_is_closed_nowhere_is_deep() {
        assert!(!is_too_deep(&"<div><p>a<br>b<img src=x></div>".repeat(5000)));
        assert!(!is_too_deep(&"<ul><li>a<li>b<p>c</ul><!-- x --><!doctype x>".repeat(5000)));
        assert!(is_too_deep(&"<div>".repeat(3000)));
    }
}
