use std::borrow::Cow;

use mail_parser::decoders::html::html_to_text;
use mail_parser::{Address, Message, MessageParser, MessagePart, MimeHeaders, PartType};
use shared::documents::Failure;

use super::{corrupt, html, no_text, plain, read};
use crate::text::{Kind, Text};

/// Headers that only messages have; two of them and a sender make one.
const TELLING: [&str; 9] =
    ["date", "subject", "to", "message-id", "mime-version", "received", "return-path", "content-type", "delivered-to"];
/// How deep messages and attachments are followed.
const DEPTH: u8 = 3;

/// Whether the bytes are a message (RFC 5322): they begin with headers, among them those of a message.
pub(super) fn is_message(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(16 * 1024)]);
    let mut names = Vec::new();
    for line in head.lines().take_while(|line| !line.is_empty()) {
        if line.starts_with([' ', '\t']) && !names.is_empty() {
            continue;
        }
        match line.split_once(':') {
            Some((name, _)) if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()) => {
                names.push(name.to_ascii_lowercase());
            }
            // The first kilobytes may end within a line.
            _ if names.len() > 5 => break,
            _ => return false,
        }
    }
    let telling = TELLING.iter().filter(|telling| names.iter().any(|name| name == *telling)).count();
    names.iter().any(|name| name == "from") && telling >= 2
}

/// A message: its subject, who wrote when to whom, its text, and what is attached.
pub(super) fn extract(bytes: &[u8], depth: u8) -> Result<Text, Failure> {
    let message = MessageParser::default().parse(bytes).ok_or_else(corrupt)?;
    let mut text = Text::default();
    let subject = message.subject().unwrap_or_default();
    text.push(Kind::Heading(1), subject, None)?;
    text.push(Kind::Paragraph, &envelope(&message), None)?;
    for part in message.text_bodies() {
        match &part.body {
            PartType::Text(body) => text.append(&plain::extract(body)?, 0)?,
            PartType::Html(body) => text.append(&page(body)?, 1)?,
            _ => {}
        }
    }
    if depth < DEPTH {
        for part in message.attachments() {
            attachment(part, &mut text, depth)?;
        }
    }
    text.entitle(subject);
    Ok(text)
}

fn envelope(message: &Message<'_>) -> String {
    let addresses = |addresses: Option<&Address<'_>>| {
        let all = addresses.into_iter().flat_map(Address::iter);
        let written = all.map(|one| match (one.name(), one.address()) {
            (Some(name), Some(address)) => format!("{name} <{address}>"),
            (name, address) => name.or(address).unwrap_or_default().to_owned(),
        });
        written.collect::<Vec<_>>().join(", ")
    };
    let date = message
        .date()
        .map(|date| format!("{:04}-{:02}-{:02} {:02}:{:02}", date.year, date.month, date.day, date.hour, date.minute));
    let lines = [
        ("From", addresses(message.from())),
        ("To", addresses(message.to())),
        ("Cc", addresses(message.cc())),
        ("Date", date.unwrap_or_default()),
    ];
    let filled = lines.iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("; ")
}

/// A message is seldom an article; if no main content is found in it, all of it is.
fn page(body: &str) -> Result<Text, Failure> {
    match html::extract(body) {
        Ok(text) if text.is_readable() => Ok(text),
        _ => plain::extract(&html_to_text(body)),
    }
}

/// What cannot be read of the attachments is left out: the message is what was uploaded.
fn attachment(part: &MessagePart<'_>, text: &mut Text, depth: u8) -> Result<(), Failure> {
    let name = part.attachment_name().unwrap_or_default();
    let attached = match &part.body {
        PartType::Text(body) => read(Cow::Borrowed(body.as_bytes()), name, depth + 1),
        PartType::Html(body) => page(body),
        PartType::Binary(bytes) => read(Cow::Borrowed(bytes), name, depth + 1),
        PartType::Message(message) => extract(message.raw_message(), depth + 1),
        PartType::InlineBinary(_) | PartType::Multipart(_) => Err(no_text()),
    };
    let Ok(attached) = attached else { return Ok(()) };
    text.push(Kind::Heading(2), name, None)?;
    text.append(&attached, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = "From: Donald Duck <donald@example.org>\r\nTo: daisy@example.org\r\n\
        Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Tue, 24 Nov 2026 09:30:00 +0100\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=x\r\n\r\n\
        --x\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nSch=F6ne Ente!\r\n\
        --x\r\nContent-Type: text/csv; name=ducks.csv\r\nContent-Disposition: attachment; filename=ducks.csv\r\n\r\nname,age\r\nDonald,92\r\n\
        --x\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename=duck.png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--x--\r\n";

    #[test]
    fn a_message_has_a_subject_an_envelope_a_body_and_attachments() {
        assert!(is_message(MESSAGE.as_bytes()));
        let text = extract(MESSAGE.as_bytes(), 0).unwrap();
        assert_eq!(text.title(), Some("Grüße"));
        assert_eq!(
            text.plain(),
            "Grüße\n\nFrom: Donald Duck <donald@example.org>; To: daisy@example.org; Date: 2026-11-24 09:30\n\n\
             Schöne Ente!\n\nducks.csv\n\nname: Donald; age: 92"
        );
    }

    #[test]
    fn a_text_about_messages_is_none() {
        assert!(!is_message(b"From: here\nto there, he said.\n"));
        assert!(!is_message(b"Subject: ducks\n\nFrom: the lake\n"));
        assert!(!is_message(b"From: a\nName: b\n"));
    }
}
