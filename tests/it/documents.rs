//! Real files, good and broken, as `../shared/data/documents/README.md` describes them.

use tests::{TestApp, data};

/// A file, a question about it, and words that stand in the passage that answers.
const READABLE: [(&str, &str, &str); 8] = [
    ("latex-four-pages.pdf", "What does a blind text like this give you information about?", "selected font"),
    ("google-doc.pdf", "Is explicit better than implicit?", "Explicit is better than implicit."),
    (
        "german-textbook.pdf",
        "Ist die Quotiententopologie die feinste Topologie, sodass die Abbildung stetig wird?",
        "Quotiententopologie",
    ),
    ("report.docx", "calories per portion of berries for a duck", "Blueberry, Strawberry, Cranberry"),
    ("tables.docx", "A uniform table with header cells", "Header 0.0"),
    ("footnotes.docx", "tachyon walks into a bar", "A tachyon walks into a bar."),
    ("encyclopedia-duck.html", "What do dabbling ducks feed on?", "ducks"),
    ("wiki.md", "Under which name was IBM founded in 1911?", "Computing-Tabulating-Recording Company"),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_readable_file_is_ready_and_found() {
    let Some(folder) = data::documents() else { return };
    let app = TestApp::start().await;
    let ada = app.ada();
    for (file, question, words) in READABLE {
        let document = ada.ready(file, std::fs::read(folder.join(file)).unwrap()).await;
        let body = serde_json::json!({ "query": question, "document_ids": [document["id"]], "limit": 3 });
        let found = ada.post("/search", body).await.expect(200).body;
        let texts: Vec<_> = found["data"].as_array().unwrap().iter().map(|p| p["text"].as_str().unwrap()).collect();
        assert!(texts.iter().any(|text| text.contains(words)), "{file}: {texts:#?}");
        for chunk in ada.chunks(document["id"].as_str().unwrap()).await {
            assert!(!chunk["text"].as_str().unwrap().contains('\u{fffd}'), "{file}: {chunk}");
            assert_eq!(chunk["page"].is_null(), !file.contains(".pdf"), "{file}: {chunk}");
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passages_of_a_pdf_know_their_page() {
    let Some(folder) = data::documents() else { return };
    let app = TestApp::start().await;
    let ada = app.ada();
    let document = ada.ready("four.pdf", std::fs::read(folder.join("latex-four-pages.pdf")).unwrap()).await;
    let chunks = ada.chunks(document["id"].as_str().unwrap()).await;
    let mut pages: Vec<_> = chunks.iter().map(|chunk| chunk["page"].as_u64().unwrap()).collect();
    assert!(pages.is_sorted(), "{pages:?}");
    pages.dedup();
    assert_eq!(pages, [1, 2, 3, 4]);
    for chunk in &chunks {
        let text = chunk["text"].as_str().unwrap();
        assert!(text.ends_with(['.', '?', '!', ':', '”']) || text.lines().count() == 1, "cut in a sentence: {text:?}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_broken_file_fails_with_a_reason_and_harms_no_other() {
    let Some(folder) = data::documents() else { return };
    let app = TestApp::start().await;
    let ada = app.ada();
    for (file, code) in [
        ("password-protected.pdf", "encrypted"),
        ("images-only.pdf", "no_text"),
        ("truncated.pdf", "corrupt"),
        ("binary.txt", "unsupported_type"),
    ] {
        let id = ada.upload(file, std::fs::read(folder.join(file)).unwrap()).await;
        let document = ada.worked_off(&id).await;
        assert_eq!(document["status"], "failed", "{file}");
        assert_eq!(document["error"]["code"], code, "{file}");
        assert!(document["error"]["detail"].as_str().unwrap().ends_with('.'), "{document}");
        assert!(ada.chunks(&id).await.is_empty());
        let next = ada.ready("next.txt", format!("The document after {file} is unharmed.")).await;
        assert_eq!(next["status"], "ready");
    }
    let empty = ada.upload_with("empty.txt", b"", &[]).await.expect(400).body;
    assert_eq!(empty["errors"][0]["pointer"], "file");
    app.stop().await;
}
