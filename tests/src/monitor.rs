use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Url;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How long a line of the monitor may take.
const STRAGGLERS: Duration = Duration::from_millis(50);

/// What a Redis is sent by clients, as its command `MONITOR` tells. What scripts call is left out.
pub struct Monitor {
    lines: Arc<Mutex<Vec<String>>>,
    _reader: JoinSet<()>,
}

impl Monitor {
    /// Watches the server at an address such as `redis://127.0.0.1:6379`.
    pub async fn start(url: &str) -> Self {
        let url: Url = url.parse().unwrap();
        let mut stream = TcpStream::connect((url.host_str().unwrap(), url.port().unwrap())).await.unwrap();
        stream.write_all(b"MONITOR\r\n").await.unwrap();
        let mut reader = BufReader::new(stream).lines();
        assert_eq!(reader.next_line().await.unwrap().as_deref(), Some("+OK"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (mut task, written) = (JoinSet::new(), Arc::clone(&lines));
        task.spawn(async move {
            while let Ok(Some(line)) = reader.next_line().await {
                written.lock().unwrap().extend(command(&line));
            }
        });
        Self { lines, _reader: task }
    }

    /// The commands since the last call in their order, each as its name and its first key, such as `GET {acme}:x`, or
    /// its first argument where that is no key. What connections say of themselves, such as `CLIENT SETINFO`, is among
    /// them.
    pub async fn taken(&mut self) -> Vec<String> {
        tokio::time::sleep(STRAGGLERS).await;
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

/// The command in a line such as `+1339518083.107412 [0 127.0.0.1:60866] "get" "x"`, unless a script called it.
fn command(line: &str) -> Option<String> {
    let (source, words) = line.split_once('[')?.1.split_once("] ")?;
    if source.ends_with(" lua") {
        return None;
    }
    let words = words.strip_prefix('"')?.strip_suffix('"')?;
    let words: Vec<_> = words.split("\" \"").collect();
    let name = words[0].to_uppercase();
    // These have a script and the number of its keys in front of the keys.
    let key = if name.starts_with("EVAL") || name.starts_with("FCALL") { words.get(3) } else { words.get(1) };
    Some(key.map_or(name.clone(), |key| format!("{name} {key}")))
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn a_line_becomes_a_name_and_a_key() {
        for (line, expected) in [
            (r#"+1.2 [0 127.0.0.1:6] "get" "{acme}:x""#, Some("GET {acme}:x")),
            (r#"+1.2 [0 127.0.0.1:6] "PING""#, Some("PING")),
            (r#"+1.2 [0 127.0.0.1:6] "evalsha" "abc" "1" "{acme}:x" "7""#, Some("EVALSHA {acme}:x")),
            (r#"+1.2 [0 127.0.0.1:6] "EVAL" "return '] '" "0""#, Some("EVAL")),
            (r#"+1.2 [0 lua] "get" "{acme}:x""#, None),
        ] {
            assert_eq!(command(line).as_deref(), expected, "{line}");
        }
    }
}
