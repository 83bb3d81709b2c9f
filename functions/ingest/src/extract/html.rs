use dom_smoothie::{Config, Readability, TextMode};

use shared::documents::Failure;

use super::{markdown, no_text};
use crate::text::Text;

/// Whether a text is a web page.
pub(super) fn is_html(text: &str) -> bool {
    let start: String = text.trim_start_matches('\u{feff}').trim_start().chars().take(512).collect();
    let start = start.to_ascii_lowercase();
    ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| start.contains(tag)) && start.starts_with('<')
}

/// The main content of a page, without navigation, scripts and styles, by way of Markdown.
pub(super) fn extract(html: &str) -> Result<Text, Failure> {
    let config = Config { text_mode: TextMode::Markdown, ..Config::default() };
    let article = Readability::new(html, None, Some(config)).and_then(|mut page| page.parse());
    let article = article.map_err(|_| no_text())?;
    let mut text = markdown::extract(&article.text_content)?;
    text.entitle(&article.title);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::is_html;

    #[test]
    fn pages_are_told_from_texts_about_pages() {
        assert!(is_html("<!DOCTYPE html>\n<html><body>x</body></html>"));
        assert!(is_html("<!-- saved --><html><body>x</body></html>"));
        assert!(!is_html("The tag <html> begins a page."));
        assert!(!is_html("a < b"));
    }
}
