//! The parts that other tests rely on do what they say.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{Instance, Monitor, Proxy, RedisCluster, RedisProcess, TestApp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::flow::DUCKS;

const INSTANCE: &str = env!("CARGO_BIN_EXE_instance");
/// Long enough for an answer on this machine, if there is to be one.
const SOON: Duration = Duration::from_millis(500);

async fn connect(url: &str) -> TcpStream {
    TcpStream::connect(url.split("//").nth(1).unwrap()).await.unwrap()
}

/// Sends a `PING` and returns what comes back within [`SOON`]; none for silence, empty for the end.
async fn ping(connection: &mut TcpStream) -> Option<String> {
    let mut answer = [0; 64];
    connection.write_all(b"PING\r\n").await.ok()?;
    let length = tokio::time::timeout(SOON, connection.read(&mut answer)).await.ok()?.unwrap_or(0);
    Some(String::from_utf8_lossy(&answer[..length]).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_over_one_database_see_each_others_documents() {
    let app = TestApp::start().await;
    let variables = [("REDIS_URL", app.redis_url()), ("DYNAMODB_ENDPOINT", app.dynamodb_endpoint())];
    let one = Instance::start(INSTANCE, app.folder(), &variables).await;
    let two = Instance::start(INSTANCE, app.folder(), &variables).await;
    let document = app.ada().at(one.url()).ready("ducks.md", DUCKS).await;
    for instance in [&one, &two] {
        let page = app.ada().at(instance.url()).get("/documents").await.expect(200).body;
        assert_eq!(page["data"], json!([document]));
    }

    two.stop();
    let ada = app.ada().at(two.url());
    let mut answer = Box::pin(ada.get("/users/me"));
    assert!(tokio::time::timeout(SOON, &mut answer).await.is_err(), "a frozen process answers nothing");
    two.resume();
    answer.await.expect(200);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_uses_the_redis_and_the_database_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let database = local::EmbeddedDynamoDb::start(&folder.path().join("tables")).await.unwrap();
    let redis = RedisProcess::start().await;
    let (to_redis, to_database) = (Proxy::start(&redis.url()).await, Proxy::start(&database.url()).await);
    let variables = [("REDIS_URL", &*to_redis.url()), ("DYNAMODB_ENDPOINT", &*to_database.url())];
    let app = TestApp::start_with(&variables).await;
    assert_eq!(app.running().redis_process(), None);
    app.ada().ready("ducks.md", DUCKS).await;
    app.ada().search("what do ducks eat?").await;
    assert!(redis.command::<usize>(&["DBSIZE"]).await > 0);
    assert!(to_redis.sent() > 0 && to_redis.received() > 0);
    assert!(app.running().router().has_routes());

    let before = to_database.occurrences("POST / HTTP/1.1");
    app.ada().get("/documents").await.expect(200);
    assert!(to_database.occurrences("POST / HTTP/1.1") > before);
    app.stop().await;
    database.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_delays_swallows_cuts_and_refuses() {
    let redis = RedisProcess::start().await;
    let mut proxy = Proxy::start(&redis.url()).await;
    let pong = Some("+PONG\r\n".to_owned());
    let mut old = connect(&proxy.url()).await;
    assert_eq!(ping(&mut old).await, pong);

    let (there, back) = (Duration::from_millis(30), Duration::from_millis(40));
    proxy.delay(there, back);
    let started = Instant::now();
    assert_eq!(ping(&mut old).await, pong);
    assert!(started.elapsed() >= there + back);
    proxy.delay(Duration::ZERO, Duration::ZERO);

    proxy.blackhole_existing();
    let mut new = connect(&proxy.url()).await;
    assert_eq!(ping(&mut new).await, pong);
    assert_eq!(ping(&mut old).await, None, "it is silent, not closed");
    assert_eq!((proxy.connections(), proxy.occurrences("PING\r\n")), (2, 4));

    proxy.cut().await;
    assert_eq!(ping(&mut new).await.unwrap_or_default(), "");
    let mut newest = connect(&proxy.url()).await;
    assert_eq!(ping(&mut newest).await, pong);
    proxy.refuse().await;
    assert!(TcpStream::connect(proxy.url().split("//").nth(1).unwrap()).await.is_err());
    assert_eq!(ping(&mut newest).await, pong);
    proxy.accept().await;
    assert_eq!(ping(&mut connect(&proxy.url()).await).await, pong);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_is_paused_and_restarted_empty_on_its_port() {
    let mut redis = RedisProcess::start().await;
    redis.command::<()>(&["SET", "x", "1"]).await;
    redis.pause();
    assert_eq!(ping(&mut connect(&redis.url()).await).await, None);
    redis.resume();
    assert_eq!(redis.command::<String>(&["GET", "x"]).await, "1");
    let url = redis.url();
    redis.restart().await;
    assert_eq!((redis.url(), redis.command::<usize>(&["DBSIZE"]).await), (url, 0));
    redis.kill().await;
    assert!(redis.try_command::<String>(&["PING"]).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_serves_all_slots() {
    let cluster = RedisCluster::start().await;
    for node in cluster.nodes() {
        let info: String = node.command(&["CLUSTER", "INFO"]).await;
        assert!(info.contains("cluster_state:ok"), "{info}");
        assert!(info.contains("cluster_slots_ok:16384"), "{info}");
    }
    // CRC16("123456789") is 0x31C3, by the specification; it is slot 12739, in the last third.
    let [first, .., last] = cluster.nodes() else { panic!("there are three nodes") };
    last.command::<()>(&["SET", "123456789", "x"]).await;
    let error = first.try_command::<String>(&["GET", "123456789"]).await.unwrap_err();
    assert!(error.to_string().contains(&format!("127.0.0.1:{}", last.port())), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_monitor_tells_what_clients_send_but_not_what_scripts_call() {
    let redis = RedisProcess::start().await;
    let mut monitor = Monitor::start(&redis.url()).await;
    redis.command::<Option<String>>(&["GET", "by a client"]).await;
    redis.command::<Option<String>>(&["EVAL", "return redis.call('GET', KEYS[1])", "1", "by a script"]).await;
    let mut taken = monitor.taken().await;
    taken.retain(|command| !command.starts_with("CLIENT"));
    assert_eq!(taken, ["GET by a client", "EVAL by a script"]);
    redis.command::<()>(&["SET", "x", "1"]).await;
    assert!(monitor.taken().await.contains(&"SET x".to_owned()));
}
