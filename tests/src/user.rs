use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

/// The longest that a document of a test may take.
const READY_LIMIT: Duration = Duration::from_mins(2);

/// Someone who speaks to an installation.
pub struct User<'a> {
    http: &'a reqwest::Client,
    url: String,
    token: Option<String>,
    headers: Vec<(&'static str, String)>,
}

/// An answer, read.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: http::HeaderMap,
    /// Its body; `null` if there is none.
    pub body: Value,
}

impl Answer {
    /// The text of a header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The answer, which must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self
    }
}

impl<'a> User<'a> {
    /// Someone with this token, or none, at this address.
    pub fn new(http: &'a reqwest::Client, url: String, token: Option<String>) -> Self {
        Self { http, url, token, headers: Vec::new() }
    }

    /// The same person at another address: an [`crate::Instance`] over the same data folder takes the same tokens.
    pub fn at(&self, url: &str) -> User<'a> {
        Self::new(self.http, url.to_owned(), self.token.clone())
    }

    /// The token, if there is one.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The same person with a header on every request.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Sends a request as it is.
    pub async fn send(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Response {
        self.try_send(method, path, kind, body).await.expect("the server answers")
    }

    /// The same to a server that may die meanwhile.
    pub async fn try_send(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> reqwest::Result<Response> {
        let mut request = self.request(method, path);
        if !kind.is_empty() {
            request = request.header("content-type", kind).body(body);
        }
        request.send().await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request
    }

    /// Sends a request with a JSON body, or without a body for `null`.
    pub async fn call(&self, method: Method, path: &str, body: &Value) -> Answer {
        let (kind, body) =
            if body.is_null() { ("", Vec::new()) } else { ("application/json", body.to_string().into_bytes()) };
        read(self.send(method, path, kind, body).await).await
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &Value::Null).await
    }

    /// `POST`.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, &body).await
    }

    /// `POST` to a server that may die meanwhile: no answer then.
    pub async fn try_post(&self, path: &str, body: Value) -> Option<Answer> {
        let body = body.to_string().into_bytes();
        Some(read(self.try_send(Method::POST, path, "application/json", body).await.ok()?).await)
    }

    /// `PUT`.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, &body).await
    }

    /// `PATCH`.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, &body).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, &Value::Null).await
    }

    /// Uploads a file with further fields.
    pub async fn upload_with(&self, filename: &str, bytes: &[u8], fields: &[(&str, &str)]) -> Answer {
        let (kind, body) = form(filename, bytes, fields);
        read(self.send(Method::POST, "/documents/upload", &kind, body).await).await
    }

    /// Uploads a file and returns the id of its document.
    pub async fn upload(&self, filename: &str, bytes: impl AsRef<[u8]>) -> String {
        let answer = self.upload_with(filename, bytes.as_ref(), &[]).await.expect(202);
        answer.body["document"]["id"].as_str().unwrap().to_owned()
    }

    /// The document once a worker is done with it, `ready` or `failed`.
    pub async fn worked_off(&self, id: &str) -> Value {
        let started = Instant::now();
        loop {
            let document = self.get(&format!("/documents/{id}")).await.expect(200).body;
            if document["status"] == "ready" || document["status"] == "failed" {
                return document;
            }
            assert!(started.elapsed() < READY_LIMIT, "not ready in time: {document}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Uploads a file that must become `ready`.
    pub async fn ready(&self, filename: &str, bytes: impl AsRef<[u8]>) -> Value {
        let document = self.worked_off(&self.upload(filename, bytes).await).await;
        assert_eq!(document["status"], "ready", "{document}");
        document
    }

    /// The passages that a query finds.
    pub async fn search(&self, query: &str) -> Vec<Value> {
        let answer = self.post("/search", serde_json::json!({ "query": query })).await.expect(200);
        answer.body["data"].as_array().unwrap().clone()
    }

    /// All passages of a document.
    pub async fn chunks(&self, id: &str) -> Vec<Value> {
        let (mut chunks, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("/documents/{id}/chunks?limit=100{cursor}")).await.expect(200).body;
            chunks.extend(page["data"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return chunks,
            }
        }
    }
}

/// A form with a file, as `multipart/form-data`: the content type, and the body.
pub fn form(filename: &str, bytes: &[u8], fields: &[(&str, &str)]) -> (String, Vec<u8>) {
    const BOUNDARY: &str = "b0undary-of-the-tests";
    let mut body = Vec::new();
    for (name, value) in fields {
        let head = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(head.as_bytes());
    }
    let head = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n\
         content-type: application/octet-stream\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(bytes);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={BOUNDARY}"), body)
}

async fn read(response: Response) -> Answer {
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    Answer { status, headers, body: serde_json::from_slice(&bytes).unwrap_or_default() }
}
