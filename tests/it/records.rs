//! Records of tenants and users in the cache: `door.lua` on a real Redis, with a clock of the test.

use redis::Value;
use tests::RedisProcess;

const DOOR: &str = concat!(
    include_str!("../../shared/src/door/bucket.lua"),
    include_str!("../../shared/src/door/epoch.lua"),
    include_str!("../../shared/src/door/door.lua"),
);
/// Microseconds; far from the beginning of time.
const NOW: u64 = 1_000_000_000;

/// What a call brings along: the mark, the epoch it was read under, and the records of tenant and caller with their version.
#[derive(Clone, Copy, Default)]
struct Brought<'a> {
    mark: &'a str,
    asked_at: u64,
    epoch: &'a str,
    tenant: &'a str,
    version: u64,
    grants: &'a str,
}

/// Calls the script; its reply as text.
async fn ask(
    connection: &mut redis::aio::MultiplexedConnection,
    now: u64,
    fresh: &str,
    brought: Brought<'_>,
) -> Vec<String> {
    let mut command = redis::cmd("EVAL");
    command.arg(DOOR).arg(7);
    for key in ["bucket", "bucket:ada", "tenant", "user:ada", "epochs", "answer", "requests"] {
        command.arg(format!("{{acme}}:{key}"));
    }
    let user = if brought.tenant.is_empty() { "" } else { "{}" };
    command.arg(now).arg(1).arg(2_000_000).arg(fresh).arg("").arg("viewer").arg(0).arg(0).arg(0);
    command.arg(brought.mark).arg(brought.asked_at).arg(brought.epoch);
    command.arg(brought.tenant).arg(brought.version).arg(1_000).arg(100).arg(1_000).arg(100);
    command.arg(user).arg(brought.version).arg("").arg(brought.grants).arg(300).arg("2026-11").arg(60_000_000);
    let reply: Vec<Value> = command.query_async(connection).await.unwrap();
    reply.into_iter().map(|value| redis::from_redis_value(value).unwrap_or_default()).collect()
}

async fn connected(redis: &RedisProcess) -> redis::aio::MultiplexedConnection {
    redis::Client::open(redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test]
async fn a_record_is_not_replaced_by_an_older_one_nor_by_one_read_before_a_change() {
    let redis = RedisProcess::start().await;
    let mut connection = connected(&redis).await;
    let first = ask(&mut connection, NOW, "e1", Brought::default()).await;
    assert_eq!(first[0], "load");
    assert_eq!(first[2..6], ["e1", "1", "1", "1"].map(String::from), "all is wanted: {first:?}");
    let brought = Brought { mark: "-", asked_at: NOW, epoch: "e1", tenant: "second", version: 2, grants: "" };
    let second = ask(&mut connection, NOW + 1, "e2", brought).await;
    assert_eq!((second[0].as_str(), second[6].as_str()), ("allowed", "second"), "{second:?}");

    let older = Brought { tenant: "first", version: 1, ..brought };
    assert_eq!(ask(&mut connection, NOW + 2, "e3", older).await[6], "second", "an older version is refused");
    let newer = Brought { tenant: "third", version: 3, ..brought };
    assert_eq!(ask(&mut connection, NOW + 3, "e4", newer).await[6], "third");

    let () = redis::cmd("HSET").arg("{acme}:epochs").arg("users").arg("e5").query_async(&mut connection).await.unwrap();
    let late = Brought { tenant: "fourth", version: 4, ..brought };
    let reply = ask(&mut connection, NOW + 4, "e6", late).await;
    assert_eq!(reply[0], "load", "what was read before a change is not kept: {reply:?}");
    assert_eq!(reply[2..6], ["e5", "0", "1", "1"].map(String::from));
}

#[tokio::test]
async fn epochs_are_believed_for_a_while_and_a_new_mark_makes_them_new() {
    let redis = RedisProcess::start().await;
    let mut connection = connected(&redis).await;
    ask(&mut connection, NOW, "e1", Brought::default()).await;
    let brought = Brought { mark: "-", asked_at: NOW, epoch: "e1", tenant: "x", version: 1, grants: "" };
    assert_eq!(ask(&mut connection, NOW + 500_000, "e2", brought).await[0], "allowed");
    assert_eq!(ask(&mut connection, NOW + 1_999_999, "e3", Brought::default()).await[0], "allowed");
    // It counts from when the database was asked, not from when it answered.
    let doubted = ask(&mut connection, NOW + 2_000_000, "e4", Brought::default()).await;
    assert_eq!(doubted[2..6], ["e1", "1", "0", "0"].map(String::from), "only the mark is wanted: {doubted:?}");
    let same = Brought { mark: "-", asked_at: NOW + 2_000_000, ..Brought::default() };
    assert_eq!(ask(&mut connection, NOW + 2_000_001, "e5", same).await[0], "allowed");
    let new = Brought { mark: "m1", asked_at: NOW + 2_000_002, ..Brought::default() };
    let renewed = ask(&mut connection, NOW + 2_000_003, "e6", new).await;
    assert_eq!(renewed[2..6], ["e6", "0", "1", "1"].map(String::from), "all is from before the change: {renewed:?}");
}

#[tokio::test]
async fn records_that_came_with_a_mark_that_is_news_are_not_kept() {
    let redis = RedisProcess::start().await;
    let mut connection = connected(&redis).await;
    ask(&mut connection, NOW, "e1", Brought::default()).await;
    // The records may have been read before the change, and the mark, which was left after it, only then.
    let brought = Brought { mark: "m1", asked_at: NOW, epoch: "e1", tenant: "before", version: 1, grants: "" };
    let reply = ask(&mut connection, NOW + 1, "e2", brought).await;
    assert_eq!((reply[0].as_str(), &reply[2..6]), ("load", &["e2", "0", "1", "1"].map(String::from)[..]), "{reply:?}");
    let after = Brought { mark: "", epoch: "e2", tenant: "after", ..brought };
    assert_eq!(ask(&mut connection, NOW + 2, "e3", after).await[6], "after");
}

#[tokio::test]
async fn who_is_barred_takes_no_token_of_anybody() {
    let redis = RedisProcess::start().await;
    let mut connection = connected(&redis).await;
    ask(&mut connection, NOW, "e1", Brought::default()).await;
    let barred = Brought { mark: "-", asked_at: NOW, epoch: "e1", tenant: "x", version: 1, grants: "!" };
    assert_eq!(ask(&mut connection, NOW + 1, "e2", barred).await, ["barred", &(NOW + 1).to_string()]);
    assert_eq!(ask(&mut connection, NOW + 2, "e3", Brought::default()).await[0], "barred");
    let exist: u64 = redis::cmd("EXISTS")
        .arg(&["{acme}:bucket", "{acme}:bucket:ada", "{acme}:requests"])
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(exist, 1, "only the time when requests were last entered");
    let again = Brought { version: 2, grants: "", ..barred };
    assert_eq!(ask(&mut connection, NOW + 3, "e4", again).await[0], "allowed");
}

#[tokio::test]
async fn requests_are_handed_over_once_a_minute_and_none_twice() {
    const SECOND: u64 = 1_000_000;
    let redis = RedisProcess::start().await;
    let mut connection = connected(&redis).await;
    let (mut handed_over, mut handovers, mut asked) = (0, 0, 0);
    let mut brought = Brought { mark: "-", tenant: "x", version: 1, ..Brought::default() };
    // Three requests a second for five minutes: the cache is believed for two seconds at a time.
    for tick in 0..900 {
        let now = NOW + 10_000 * SECOND + tick * SECOND / 3;
        let reply = ask(&mut connection, now, "e1", Brought::default()).await;
        if reply[0] != "load" {
            asked += 1;
            continue;
        }
        let requests: u64 = reply[7].parse().unwrap();
        if requests > 0 {
            assert_eq!(reply[6], "2026-11");
            (handed_over, handovers) = (handed_over + requests, handovers + 1);
        }
        brought = Brought { asked_at: now, epoch: "e1", ..brought };
        let reply = ask(&mut connection, now, "e1", brought).await;
        asked += u64::from(reply[0] == "allowed");
    }
    let pending: u64 =
        redis::cmd("HGET").arg("{acme}:requests").arg("2026-11").query_async(&mut connection).await.unwrap();
    assert_eq!(handed_over + pending, asked);
    assert_eq!(handovers, 4);
}
