use std::collections::HashMap;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use shared::documents::Failure;

use super::archive::Archive;
use super::corrupt;
use crate::text::{Kind, Text};

/// The slides of a presentation in their order, each with its title as heading and what its speaker wanted to say.
pub(super) fn extract(bytes: &[u8]) -> Result<Text, Failure> {
    let mut archive = Archive::open(bytes)?;
    let slides = slides(&mut archive)?;
    let mut text = Text::default();
    for (number, path) in (1..).zip(slides) {
        let Some(xml) = archive.xml(&path)? else { continue };
        let mut slide = Slide::read(&xml)?;
        if slide.titles.iter().all(|(_, title)| title.trim().is_empty()) {
            // Or it would stand under the title of the slide before.
            slide.titles = vec![(Kind::Heading(1), format!("Slide {number}"))];
        }
        for (kind, said) in slide.titles.iter().chain(&slide.body) {
            text.push(*kind, said, Some(number))?;
        }
        let notes = relations(&mut archive, &path)?.into_values().find(|relation| relation.kind == "notesSlide");
        if let Some(xml) = notes.map(|notes| archive.xml(&notes.target)).transpose()?.flatten() {
            for (_, said) in Slide::read(&xml)?.notes {
                text.push(Kind::Paragraph, &said, Some(number))?;
            }
        }
    }
    if let Some(core) = archive.xml("docProps/core.xml")? {
        text.entitle(&title(&core)?);
    }
    Ok(text)
}

/// Where the slides lie, in the order in which they are shown.
fn slides(archive: &mut Archive<'_>) -> Result<Vec<String>, Failure> {
    let main = relations(archive, "")?.into_values().find(|relation| relation.kind == "officeDocument");
    let main = main.map_or_else(|| "ppt/presentation.xml".to_owned(), |relation| relation.target);
    let xml = archive.xml(&main)?.ok_or_else(corrupt)?;
    let mut relations = relations(archive, &main)?;
    let mut slides = Vec::new();
    read(&xml, |event| {
        if let Event::Start(tag) | Event::Empty(tag) = event
            && local(&tag) == "sldId"
            // The slide has an `id` as well, a number; this is that of the relation.
            && let Some(id) = attribute(&tag, "r:id").or_else(|| attribute(&tag, "relationships:id"))
        {
            slides.extend(relations.remove(&id).map(|relation| relation.target));
        }
        Ok(())
    })?;
    Ok(slides)
}

/// Where a part leads.
struct Relation {
    /// The last word of its type.
    kind: String,
    target: String,
}

fn relations(archive: &mut Archive<'_>, of: &str) -> Result<HashMap<String, Relation>, Failure> {
    let (folder, name) = of.rsplit_once('/').unwrap_or(("", of));
    let path = format!("{folder}/_rels/{name}.rels");
    let Some(xml) = archive.xml(path.trim_start_matches('/'))? else { return Ok(HashMap::new()) };
    let mut relations = HashMap::new();
    read(&xml, |event| {
        if let Event::Start(tag) | Event::Empty(tag) = event
            && let (Some(id), Some(kind), Some(target)) =
                (attribute(&tag, "Id"), attribute(&tag, "Type"), attribute(&tag, "Target"))
        {
            let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
            relations.insert(id, Relation { kind, target: resolve(folder, &target) });
        }
        Ok(())
    })?;
    Ok(relations)
}

/// A path as seen from a folder of the archive.
fn resolve(folder: &str, target: &str) -> String {
    let mut path: Vec<&str> = if target.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(path.pop()),
            step => path.push(step),
        }
    }
    path.retain(|step| !step.is_empty());
    path.join("/")
}

/// What stands on a slide, by the shapes that hold it.
#[derive(Default)]
struct Slide {
    titles: Vec<(Kind, String)>,
    body: Vec<(Kind, String)>,
    /// What a page of notes has of its own: the rest of it are the slide, a number and a date.
    notes: Vec<(Kind, String)>,
}

impl Slide {
    fn read(xml: &str) -> Result<Self, Failure> {
        let mut slide = Self::default();
        let (mut placeholder, mut text, mut said) = (None, false, String::new());
        // The cells of the row that is being read, while one is, and how many rows its table had.
        let (mut cells, mut rows): (Option<Vec<String>>, u32) = (None, 0);
        read(xml, |event| {
            match event {
                Event::Start(tag) | Event::Empty(tag) if local(&tag) == "ph" => {
                    placeholder = Some(attribute(&tag, "type").unwrap_or_else(|| "body".to_owned()));
                }
                Event::Start(tag) => match local(&tag) {
                    "sp" | "graphicFrame" => placeholder = None,
                    "tbl" => rows = 0,
                    "tr" => cells = Some(Vec::new()),
                    "tc" => said.clear(),
                    "t" => text = true,
                    _ => {}
                },
                Event::Empty(tag) if local(&tag) == "br" => said.push('\n'),
                Event::Text(piece) if text => said.push_str(&piece.xml10_content()),
                Event::CData(piece) if text => said.push_str(&piece.xml10_content()),
                Event::GeneralRef(reference) if text => {
                    if let Ok(Some(character)) = reference.resolve_char_ref() {
                        said.push(character);
                    } else if let Some(known) = quick_xml::escape::resolve_predefined_entity(&reference) {
                        said.push_str(known);
                    }
                }
                Event::End(tag) => match tag.local_name().as_ref() {
                    "t" => text = false,
                    "p" if cells.is_some() => said.push(' '),
                    "p" => slide.paragraph(placeholder.as_deref(), std::mem::take(&mut said)),
                    "tc" => cells.get_or_insert_default().push(said.split_whitespace().collect::<Vec<_>>().join(" ")),
                    "tr" => {
                        said.clear();
                        let kind = if rows == 0 { Kind::Columns } else { Kind::Row };
                        rows += 1;
                        slide.body.push((kind, cells.take().unwrap_or_default().join(" | ")));
                    }
                    _ => {}
                },
                _ => {}
            }
            Ok(())
        })?;
        Ok(slide)
    }

    fn paragraph(&mut self, placeholder: Option<&str>, said: String) {
        match placeholder {
            Some("title" | "ctrTitle") => self.titles.push((Kind::Heading(1), said)),
            // The same on every slide.
            Some("sldNum" | "dt" | "ftr" | "hdr" | "sldImg") => {}
            Some(kind) => {
                if kind == "body" {
                    self.notes.push((Kind::Paragraph, said.clone()));
                }
                // Paragraphs of a placeholder are the points of a list.
                self.body.push((Kind::Line, said));
            }
            None => self.body.push((Kind::Paragraph, said)),
        }
    }
}

fn title(core: &str) -> Result<String, Failure> {
    let (mut title, mut within) = (String::new(), false);
    read(core, |event| {
        match event {
            Event::Start(tag) => within = local(&tag) == "title",
            Event::End(_) => within = false,
            Event::Text(piece) if within => title.push_str(&piece.xml10_content()),
            _ => {}
        }
        Ok(())
    })?;
    // What the program that made the file wrote for want of a title.
    Ok(if title.starts_with("PowerPoint") { String::new() } else { title })
}

/// Reads XML without a tree of it, so that its depth costs nothing. Entities of its own are never replaced.
fn read<'x>(xml: &'x str, mut take: impl FnMut(Event<'x>) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event().map_err(|_| corrupt())? {
            Event::Eof => return Ok(()),
            event => take(event)?,
        }
    }
}

fn local<'t>(tag: &'t BytesStart<'_>) -> &'t str {
    tag.local_name().into_inner()
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = tag.try_get_attribute(name).ok()??;
    Some(attribute.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_their_folder() {
        assert_eq!(resolve("ppt/slides", "../notesSlides/notesSlide1.xml"), "ppt/notesSlides/notesSlide1.xml");
        assert_eq!(resolve("ppt", "slides/slide1.xml"), "ppt/slides/slide1.xml");
        assert_eq!(resolve("ppt", "/ppt/slides/slide1.xml"), "ppt/slides/slide1.xml");
        assert_eq!(resolve("", "../../ppt/presentation.xml"), "ppt/presentation.xml");
    }

    #[test]
    fn the_title_of_a_slide_comes_first_and_entities_are_not_replaced() {
        let slide = Slide::read(
            r#"<!DOCTYPE x [<!ENTITY duck "quack"><!ENTITY file SYSTEM "file:///etc/passwd">]><p:sld>
            <p:sp><p:nvPr><p:ph idx="1"/></p:nvPr><a:p><a:t>one &amp; two &#228;&duck;&file;</a:t></a:p></p:sp>
            <p:sp><p:nvPr><p:ph type="title"/></p:nvPr><a:p><a:t>Ducks</a:t></a:p></p:sp>
            <a:tbl><a:tr><a:tc><a:p><a:t>a</a:t></a:p></a:tc><a:tc><a:p/></a:tc></a:tr>
            <a:tr><a:tc><a:p><a:t>1</a:t></a:p></a:tc><a:tc><a:p><a:t>2</a:t></a:p></a:tc></a:tr></a:tbl></p:sld>"#,
        )
        .unwrap();
        assert_eq!(slide.titles, [(Kind::Heading(1), "Ducks".to_owned())]);
        let body: Vec<_> = slide.body.iter().map(|(kind, said)| (*kind, said.as_str())).collect();
        assert_eq!(body, [(Kind::Line, "one & two ä"), (Kind::Columns, "a | "), (Kind::Row, "1 | 2")]);
    }
}
