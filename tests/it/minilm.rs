//! The default embedder of a laptop.

use tests::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn meaning_is_found_without_a_common_word() {
    let Some(app) = TestApp::start_with_minilm().await else { return };
    let ada = app.ada();
    ada.ready("cars.txt", "An automobile needs petrol and regular maintenance of its engine.").await;
    ada.ready("ducks.txt", "Ducks are birds that live on lakes and rivers.").await;
    ada.ready("tax.txt", "The finance department files quarterly revenue statements.").await;
    for (query, file) in [
        ("servicing a motor vehicle", "cars.txt"),
        ("waterfowl habitat", "ducks.txt"),
        ("accounting paperwork deadlines", "tax.txt"),
    ] {
        assert_eq!(ada.search(query).await[0]["filename"], file, "{query}");
    }
    app.stop().await;
}
