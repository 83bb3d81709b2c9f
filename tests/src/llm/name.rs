use std::str::FromStr;
use std::time::Duration;

use serde_json::json;

use super::{Request, Turn};

/// What an answer is made of.
const WORDS: [&str; 13] =
    ["The", "documents", "say", "that", "ducks", "swim", "on", "lakes", "and", "fly", "south", "in", "winter"];

/// What the name of a model says.
#[derive(Debug, Default, PartialEq)]
struct Name {
    first: Duration,
    further: Duration,
    length: Option<usize>,
    rounds: usize,
    bad_arguments: bool,
    fault: Option<Fault>,
    retry: Option<u32>,
}

#[derive(Debug, PartialEq)]
enum Fault {
    Empty,
    Hangs,
    HangsAfter(usize),
    BreaksAfter(usize),
    EndsAfter(usize),
    ErrorAfter(usize),
    BadJsonAfter(usize),
    Status(u16),
}

/// The turn that the name of the request's model stands for.
pub(super) fn turn(request: &Request) -> Turn {
    match Name::parse(request.model()) {
        Some(name) => name.turn(request),
        None => Turn::refused(404, "model_not_found", &format!("The model `{}` does not exist", request.model())),
    }
}

impl Name {
    fn parse(text: &str) -> Option<Self> {
        let mut name = Self::default();
        let mut words = text.split('-').peekable();
        while let Some(word) = words.next() {
            match word {
                "scripted" => {}
                "empty" => name.fault = Some(Fault::Empty),
                "tools" => name.rounds = number(&mut words)?,
                "status" => name.fault = Some(Fault::Status(number(&mut words)?)),
                "retry" => name.retry = Some(number(&mut words)?),
                "bad" if words.next_if_eq(&"arguments").is_some() => name.bad_arguments = true,
                "hangs" | "breaks" | "ends" | "error" | "bad" => {
                    if word == "bad" {
                        words.next_if_eq(&"json")?;
                    }
                    let after = match words.next_if_eq(&"after") {
                        Some(_) => Some(number(&mut words)?),
                        None => None,
                    };
                    name.fault = Some(match (word, after) {
                        ("hangs", None) => Fault::Hangs,
                        ("hangs", Some(pieces)) => Fault::HangsAfter(pieces),
                        ("breaks", Some(pieces)) => Fault::BreaksAfter(pieces),
                        ("ends", Some(pieces)) => Fault::EndsAfter(pieces),
                        ("error", Some(pieces)) => Fault::ErrorAfter(pieces),
                        ("bad", pieces) => Fault::BadJsonAfter(pieces.unwrap_or(0)),
                        _ => return None,
                    });
                }
                _ => {
                    let milliseconds = |digits: &str| digits.parse().map(Duration::from_millis).ok();
                    if let Some(digits) = word.strip_prefix("ttft") {
                        name.first = milliseconds(digits)?;
                    } else if let Some(digits) = word.strip_prefix("itl") {
                        name.further = milliseconds(digits)?;
                    } else {
                        name.length = Some(word.strip_prefix("len")?.parse().ok()?);
                    }
                }
            }
        }
        Some(name)
    }

    fn turn(&self, request: &Request) -> Turn {
        if let Some(Fault::Status(status)) = self.fault {
            let retry = self.retry.or((status == 429 || status == 503).then_some(2));
            let turn = Turn::refused(status, "scripted", "refused as the name of the model says");
            return retry.map_or(turn.clone(), |seconds| turn.retry_after(&seconds.to_string()));
        }
        let may_search = request.tools().contains(&"search");
        if may_search && self.bad_arguments && request.rounds() == 0 {
            return Turn::call("search", &json!({ "query": 7 })).paced(self.first, self.further);
        }
        if may_search && request.rounds() < self.rounds {
            return Turn::call("search", &json!({ "query": request.question() })).paced(self.first, self.further);
        }
        self.fail(self.words(request).paced(self.first, self.further))
    }

    /// The answer, without its fault.
    fn words(&self, request: &Request) -> Turn {
        let wanted = self.length.unwrap_or(WORDS.len());
        let allowed = request.max_tokens().and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        let mut pieces: Vec<_> =
            WORDS.iter().cycle().take(wanted.min(allowed)).map(|word| format!(" {word}")).collect();
        if let Some(first) = pieces.first_mut() {
            first.remove(0);
        }
        if request.rounds() > 0
            && wanted <= allowed
            && let Some(last) = pieces.last_mut()
        {
            " [1]".clone_into(last);
        }
        let turn = Turn::pieces(pieces);
        if wanted > allowed { turn.ending("length") } else { turn }
    }

    fn fail(&self, turn: Turn) -> Turn {
        match self.fault {
            None | Some(Fault::Status(_)) => turn,
            Some(Fault::Empty) => Turn::default(),
            Some(Fault::Hangs) => Turn::default().and_hang(),
            // Not as the first step, so that there is a status.
            Some(Fault::HangsAfter(pieces)) => turn.cut(pieces).and_pause(Duration::ZERO).and_hang(),
            Some(Fault::BreaksAfter(pieces)) => turn.cut(pieces).and_break(),
            Some(Fault::EndsAfter(pieces)) => turn.cut(pieces).and_end(),
            Some(Fault::ErrorAfter(pieces)) => turn.cut(pieces).and_error("server_error", "scripted"),
            Some(Fault::BadJsonAfter(pieces)) => turn.cut(pieces).and_raw("data: {\"id\": \"chatcmpl-1\", \"choi\n\n"),
        }
    }
}

fn number<'a, T: FromStr>(words: &mut impl Iterator<Item = &'a str>) -> Option<T> {
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_word_by_word() {
        let usual = Name {
            first: Duration::from_millis(300),
            further: Duration::from_millis(15),
            length: Some(150),
            ..Name::default()
        };
        assert_eq!(Name::parse("ttft300-itl15-len150"), Some(usual));
        for (text, fault) in [
            ("hangs", Fault::Hangs),
            ("hangs-after-10", Fault::HangsAfter(10)),
            ("breaks-after-40", Fault::BreaksAfter(40)),
            ("bad-json", Fault::BadJsonAfter(0)),
            ("bad-json-after-3", Fault::BadJsonAfter(3)),
            ("status-429", Fault::Status(429)),
            ("empty", Fault::Empty),
        ] {
            assert_eq!(Name::parse(text), Some(Name { fault: Some(fault), ..Name::default() }), "{text}");
        }
        let wrong = Name::parse("scripted-tools-2-bad-arguments-retry-7");
        assert_eq!(wrong, Some(Name { rounds: 2, bad_arguments: true, retry: Some(7), ..Name::default() }));
        for text in ["", "gpt-4o", "breaks", "tools-many", "lenient", "bad", "status-99999"] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }
}
